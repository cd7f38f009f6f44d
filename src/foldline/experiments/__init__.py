"""Designs of tests, assignment of units to variants, and who is eligible."""
