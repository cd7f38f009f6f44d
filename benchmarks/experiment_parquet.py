"""How fast is an experiment analysed from its Parquet export?

Question: what do the statistics of every variant cost over 25 million exported rows with DuckDB: units, mean and
    variance of a metric, one row a unit; and where several rows must first be added up by unit? Do they equal the
    folded tally?
Workload: 25,000,000 units in two variants, a click and an amount each, in the columns and types of
    `foldline experiments export` (partitions of 2,500,000 units, a row group each 500,000); and 25,000,000 rows of
    5,000,000 units with an amount each. Small enough: 200,000 units folded by the tally, exported, and compared.
Peer: pandas over the same file, the same columns, reading included.
Ratio: pandas' time over DuckDB's, medians of alternating rounds, CPU time over the cores there are, which is the
    clock's of a quiet machine; the clock's is beside it. Bars: 0.3 s for means, 3 s by unit; sums equal to the tally's
    integers.
Command: `python benchmarks/experiment_parquet.py` (needs duckdb and pandas), `--units 5000000` for fewer
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foldline.engine.unit_export import ROW_GROUP, unit_columns, unit_schema, unit_writer
from foldline.experiments.goals import Proportion
from foldline.experiments.measure import Guardrail
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import Count
from foldline.experiments.unit_table import UnitTable, unit_table
from foldline.simulation.trials import START_MS, assigned, simulated_columns, simulated_definition

UNITS, PARTITIONS, PER_UNIT, ROUNDS, FOLDED = 25_000_000, 10, 5, 5, 200_000
BARS = {"means": 0.3, "by_unit": 3.0}
CORES = len(os.sched_getaffinity(0))

MEANS = """
    SELECT variant, count(*) AS units, avg(revenue) AS revenue, var_samp(revenue) AS variance
    FROM read_parquet(?) WHERE matured GROUP BY variant ORDER BY variant
"""
BY_UNIT = """
    SELECT variant, count(*) AS units, avg(total) AS revenue, var_samp(total) AS variance
    FROM (SELECT unit, any_value(variant) AS variant, sum(amount) AS total FROM read_parquet(?) GROUP BY unit)
    GROUP BY variant ORDER BY variant
"""


def definition() -> Any:
    """Clicks decide, revenue is guarded."""
    goal = Proportion("click", baseline=0.07, effect=0.04)
    return simulated_definition(goal, 1124, guardrails=(Guardrail(name="revenue", kind="mean", margin=0.1),))


def write_units(file: Path, fold: TallyFold, units: int, rng: np.random.Generator) -> None:
    """As the export writes them, a partition at a time."""
    each = units // PARTITIONS
    scale = 1 << fold.unit_bits
    with unit_writer(file, fold) as writer:
        for partition in range(PARTITIONS):
            amount = np.rint(rng.exponential(3.0, each) * (rng.random(each) < 0.3) * 100) / 100
            table = UnitTable(
                hashes=rng.integers(1, 2**63, (each, 2)).astype(np.uint64),
                variant=rng.integers(0, 2, each),
                exposed=START_MS + np.sort(rng.integers(0, 28 * 86_400_000, each)),
                matured=rng.random(each) < 0.98,
                mixed=np.zeros(each, np.bool_),
                values=np.column_stack(
                    [(rng.random(each) < 0.07).astype(np.int64), np.rint(amount * scale).astype(np.int64)]
                ),
                stream_time=0,
            )
            columns = pa.table(unit_columns(fold, table, partition), schema=writer.schema)
            writer.write_table(columns, row_group_size=ROW_GROUP)


def write_amounts(file: Path, rows: int, rng: np.random.Generator) -> None:
    """Several amounts a unit, in order of time."""
    units = rows // PER_UNIT
    variants = rng.integers(0, 2, units).astype(np.int8)
    with pq.ParquetWriter(
        file, pa.schema([("unit", pa.int64()), ("variant", pa.int8()), ("amount", pa.float64())])
    ) as writer:
        for _ in range(PARTITIONS):
            unit = rng.integers(0, units, rows // PARTITIONS)
            amount = np.rint(rng.exponential(3.0, len(unit)) * 100) / 100
            writer.write_table(
                pa.table({"unit": unit, "variant": variants[unit], "amount": amount}),
                row_group_size=ROW_GROUP,
            )


def in_pandas(file: Path) -> Any:
    """The means, by pandas."""
    import pandas as pd

    frame = pd.read_parquet(file, columns=["variant", "matured", "revenue"])
    grouped = frame[frame.matured].groupby("variant", observed=True)
    return grouped.revenue.agg(["size", "mean", "var"])


def in_pandas_by_unit(file: Path) -> Any:
    """By unit first."""
    import pandas as pd

    frame = pd.read_parquet(file)
    units = frame.groupby("unit").agg(variant=("variant", "first"), total=("amount", "sum"))
    return units.groupby("variant").total.agg(["size", "mean", "var"])


def timed(ours: Callable[[], Any], peer: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Medians of alternating rounds, after one of each, whose answers must agree."""
    found, theirs = ours(), peer()
    np.testing.assert_allclose([row[-1] for row in found], theirs.iloc[:, -1].to_numpy(), rtol=1e-9)
    cpu: dict[str, list[float]] = {"ours": [], "peer": []}
    clock: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        for name, function in (("ours", ours), ("peer", peer)):
            begun, used = time.perf_counter(), time.process_time()
            function()
            clock[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - used)
    mine, other = statistics.median(cpu["ours"]), statistics.median(cpu["peer"])
    return {
        "s": round(mine / CORES, 3),
        "clock_s": round(statistics.median(clock["ours"]), 3),
        "pandas_cpu_s": round(other, 3),
        "pandas_clock_s": round(statistics.median(clock["peer"]), 3),
        "ratio": round(other / mine, 2),
        "clock_ratio": round(statistics.median(clock["peer"]) / statistics.median(clock["ours"]), 2),
    }


def equals_the_tally(folder: Path) -> bool:
    """Units folded, exported and added up by DuckDB are the tally's integers."""
    import duckdb

    wanted, rng = definition(), np.random.default_rng(3)
    fold = TallyFold(wanted)
    state = fold.empty()
    variants = assigned(wanted, FOLDED, rng)
    values = (rng.random(FOLDED) < 0.07).astype(np.float64)
    fold.apply(state, simulated_columns(wanted, variants, values, rng, a_minute=500))
    file = folder / "folded.parquet"
    pq.write_table(pa.table(unit_columns(fold, unit_table(fold, state), 0), schema=unit_schema(fold)), file)
    rows = duckdb.execute(
        "SELECT variant::VARCHAR, count(*), sum(click_units), sum(click_units::HUGEINT * click_units) "
        "FROM read_parquet(?) WHERE matured GROUP BY 1 ORDER BY 1",
        [str(file)],
    ).fetchall()
    totals = state.known.upto()
    expected = [
        (key, totals.of(k, Count.MATURED), int(totals.sums[k, 0]), totals.products[k][0])
        for k, key in enumerate(fold.variants)
    ]
    return sorted(rows) == sorted(expected)


def main() -> None:
    """Write, measure and print."""
    import duckdb

    asked = argparse.ArgumentParser()
    asked.add_argument("--units", type=int, default=UNITS)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(1)
        equal = equals_the_tally(folder)
        units, amounts = folder / "units.parquet", folder / "amounts.parquet"
        write_units(units, TallyFold(definition()), given.units, rng)
        write_amounts(amounts, given.units, rng)
        sizes = {file.stem: file.stat().st_size for file in (units, amounts)}
        means = timed(
            lambda: duckdb.execute(MEANS, [str(units)]).fetchall(), lambda: in_pandas(units), ROUNDS
        )
        by_unit = timed(
            lambda: duckdb.execute(BY_UNIT, [str(amounts)]).fetchall(), lambda: in_pandas_by_unit(amounts), 1
        )
    found = {
        "rows": given.units,
        "cores": CORES,
        "bytes": sizes,
        "means": means,
        "by_unit": by_unit,
        "equals_the_tally": equal,
        "passed": equal and means["s"] < BARS["means"] and by_unit["s"] < BARS["by_unit"],
    }
    if given.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:<20} {value}")


if __name__ == "__main__":
    main()
