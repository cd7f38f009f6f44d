"""Loops: definitions, topic names, bundles and the one decide."""
