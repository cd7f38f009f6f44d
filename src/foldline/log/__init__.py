"""The event log: one protocol, several implementations."""
