"""Pure mathematics."""
