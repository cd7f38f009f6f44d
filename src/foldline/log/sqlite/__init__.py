"""The embedded log: one SQLite file in WAL mode, many processes on one machine."""
