"""Decisions that learn, over one event log."""
