"""Bandit policies and their compiled forms."""
