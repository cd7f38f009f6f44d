"""The checks of `check_log`, by what they are about."""
