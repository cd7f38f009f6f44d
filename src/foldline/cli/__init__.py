"""The command line: `foldline NOUN [VERB]`, one module a noun."""

from foldline.cli.program import main

__all__ = ["main"]
