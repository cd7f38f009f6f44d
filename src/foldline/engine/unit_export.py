"""Writes an experiment's units as Parquet, for whoever analyses them elsewhere: DuckDB, pandas, a notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline.engine.examining import folded_states
from foldline.errors import MissingExtra
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import UnitTable, unit_table
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition

ROW_GROUP = 500_000
"""Rows that are written, and read, together."""

_OWN = ("unit", "partition", "variant", "exposed", "matured", "mixed")


@dataclass(frozen=True, slots=True)
class UnitExport:
    """What was written.

    Attributes:
        file: where.
        units: rows in it.
        cut: offsets covered, one a partition.
    """

    file: Path
    units: int
    cut: Cut


def export_units(
    log: Log,
    loop: LoopDefinition,
    experiment: ExperimentDefinition,
    at: Cut,
    folder: Path,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> UnitExport:
    """Fold an experiment's units up to a cut, and write them to `units.parquet` in a folder.

    Columns: `unit` (32 hex digits of its id's hash), `partition`, `variant`, `exposed` (UTC), `matured` and `mixed`
    (as the tally counts them: only matured units are analysed), and for each metric its value, such as `click`, as a
    float, and `click_units`, the same as the exact integer that the tally adds up:
    of 2^-unit_bits, or of a proportion 0 or 1. Of a ratio the
    part below the line is a column of its own.

    Args:
        log: only read.
        loop: any version of its loop.
        experiment: its newest version.
        at: one offset for each partition.
        folder: made if need be; an older file in it is replaced once the new one is whole.
        progress: called with the number of records folded so far.

    Raises:
        MissingExtra: pyarrow is not installed.
        InputError: the cut lies beyond the log.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("parquet", "writing Parquet") from error
    fold = TallyFold(experiment)
    states = folded_states(log, loop, fold, at, progress=progress)
    tables = [unit_table(fold, state) for state in states]
    folder.mkdir(parents=True, exist_ok=True)
    file, begun = folder / "units.parquet", folder / "units.parquet.part"
    with unit_writer(begun, fold) as writer:
        for partition, table in enumerate(tables):
            columns = unit_columns(fold, table, partition)
            writer.write_table(pa.table(columns, schema=writer.schema), row_group_size=ROW_GROUP)
    begun.replace(file)
    return UnitExport(file, sum(map(len, tables)), at)


def unit_schema(fold: TallyFold) -> Any:
    """The schema of the file. Needs pyarrow."""
    import pyarrow as pa

    fields = [
        ("unit", pa.string()),
        ("partition", pa.int32()),
        ("variant", pa.dictionary(pa.int8(), pa.string())),
        ("exposed", pa.timestamp("ms", tz="UTC")),
        ("matured", pa.bool_()),
        ("mixed", pa.bool_()),
    ]
    for name in value_names(fold):
        fields += [(name, pa.float64()), (f"{name}_units", pa.int64())]
    return pa.schema(fields)


def unit_writer(file: Path, fold: TallyFold) -> Any:
    """An open `pyarrow.parquet.ParquetWriter` of that schema.

    Only what is seldom read is packed: the rest is read fastest as it is, by dictionary where values repeat, as
    counts and prices do; where they do not, a dictionary is given up after its first megabyte.
    """
    import pyarrow.parquet as pq

    schema = unit_schema(fold)
    packing = dict.fromkeys(schema.names, "none") | {"unit": "zstd"}
    repeated = [name for name in schema.names if name not in ("unit", "exposed")]
    return pq.ParquetWriter(
        file, schema, compression=packing, use_dictionary=repeated, data_page_version="2.0"
    )


def unit_columns(fold: TallyFold, table: UnitTable, partition: int) -> dict[str, Any]:
    """The columns of one partition's units, by name. Needs pyarrow."""
    import pyarrow as pa

    hashes = table.hashes.tolist()
    columns: dict[str, Any] = {
        "unit": [f"{high:016x}{low:016x}" for high, low in hashes],
        "partition": np.full(len(table), partition, np.int32),
        "variant": pa.DictionaryArray.from_arrays(table.variant.astype(np.int8), list(fold.variants)),
        "exposed": table.exposed.astype("datetime64[ms]"),
        "matured": table.matured,
        "mixed": table.mixed,
    }
    for v, name in enumerate(value_names(fold)):
        # What counts as 0 or 1 is in units of 1.
        scale = 1.0 if fold.kept.values[v].indicator else 2.0**fold.unit_bits
        columns[name], columns[f"{name}_units"] = table.values[:, v] / scale, table.values[:, v].copy()
    return columns


def value_names(fold: TallyFold) -> list[str]:
    """A column's name for each value kept of a unit: the metric's, numbered where it is taken already."""
    taken, names = set(_OWN), list[str]()
    for value in fold.kept.values:
        name, number = value.name, 1
        while name in taken or f"{name}_units" in taken:
            number += 1
            name = f"{value.name}_{number}"
        names.append(name)
        taken |= {name, f"{name}_units"}
    return names
