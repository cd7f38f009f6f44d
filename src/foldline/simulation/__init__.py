"""Worlds to decide in, and readers of published logs."""
