"""Readers of published decision logs, one file a format."""
