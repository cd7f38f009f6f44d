"""Folds over a prefix of the log: the protocol, stream time, attribution."""
