"""Conformance suites for whoever writes a log, fold or policy."""
