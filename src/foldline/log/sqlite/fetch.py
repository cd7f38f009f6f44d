"""Statements run to their end."""

from collections.abc import Sequence
from typing import Any

import apsw


def fetch(connection: apsw.Connection, statement: str, bindings: Sequence[Any] = ()) -> list[Any]:
    """Every row of a statement, as tuples; drained, so that it holds no snapshot afterwards."""
    return connection.execute(statement, bindings).fetchall()
