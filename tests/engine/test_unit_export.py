"""Units as Parquet: of a ratio and of a mean with a covariate, what the tally adds up and what the effects say."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import foldline as fl
from foldline.engine.examining import folded_tallies, read_results
from foldline.engine.unit_export import export_units
from foldline.experiments.measure import Guardrail
from foldline.experiments.tally_layout import Count
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.hashing import partition_of
from foldline.records.types import Observation, Tick
from foldline.stats.cuped import cuped_samples
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.ratio import ratio_sample

START = 1_700_000_000_000
RAILS = (
    Guardrail(name="minutes", kind="mean", covariate="before", margin=1.0),
    Guardrail(name="spent", kind="ratio", per="visit", margin=1.0),
)


def test_ratios_and_covariates_add_up_to_the_tally(tmp_path: Path) -> None:
    """Sums and sums of products, integer by integer; the delta method and CUPED of the rows give the effects."""
    times: Iterator[int] = count(START, 100)
    with fl.open("memory://", clock=lambda: next(times), learn=True) as app:
        shop = app.loop("shop", actions=["a", "b"], partitions=2, salt="s")
        test = shop.experiment(
            "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), max_days=28, window_s=600, salt="s",
            goal=fl.Proportion("click", baseline=0.1, effect=0.1), guardrails=RAILS,
        )  # fmt: skip
        with shop.batch():
            for n in range(300):
                before = Observation(
                    time=next(times), id=f"o{n}", unit=f"u{n}", name="before", value=n % 17 / 3
                )
                place = partition_of(f"u{n}", 2)
                app.log.append([Batch("shop.events", place, encode(before), 1, before.time, before.time)])
                choice = shop.decide(f"u{n}", id=str(n))
                shop.reward(choice, n % 17 / 3 + n % 5 / 7 + (choice.action == "b"), name="minutes")
                for visit in range(1 + n % 3):
                    shop.reward(choice, 1, name="visit", id=f"v{n}.{visit}")
                    shop.reward(choice, 0.1 * (n % 4), name="spent", id=f"s{n}.{visit}")
        time = next(times) + 3_600_000
        for partition in range(2):
            app.log.append([Batch("shop.events", partition, encode(Tick(time=time)), 1, time, time)])
        cut = tuple(app.log.offsets("shop.events", partition)[1] for partition in range(2))
        made = export_units(app.log, shop.definition, test.definition, cut, tmp_path)
        parts = folded_tallies(app.log, shop.definition, test.definition, cut)
        found = read_results(app.log, shop.definition, test.definition, at=cut)
    table = pq.read_table(made.file)
    names = [name for name in table.column_names if name.endswith("_units")]
    assert names == ["click_units", "minutes_units", "before_units", "spent_units", "visit_units"]
    rows = [row for row in table.to_pylist() if row["matured"]]
    pairs = [(0, 0), (1, 1), (1, 2), (2, 2), (3, 3), (3, 4), (4, 4)]
    moments: list[dict[str, Moments]] = []
    for k, variant in enumerate(("control", "challenger")):
        mine = [row for row in rows if row["variant"] == variant]
        totals = parts[0].upto().add(parts[1].upto())
        assert len(mine) == totals.of(k, Count.MATURED) > 100
        units = [[row[name] for name in names] for row in mine]
        assert [sum(column) for column in zip(*units, strict=True)] == totals.sums[k].tolist()
        assert [sum(row[a] * row[b] for row in units) for a, b in pairs] == totals.products[k]
        moments.append(
            {
                name: Moments.of_rows([[row[name], row[other]] for row in mine])
                for name, other in (("minutes", "before"), ("spent", "visit"))
            }
        )
    adjusted = cuped_samples(moments[0]["minutes"], moments[1]["minutes"])
    assert not isinstance(adjusted, NotEstimable)
    ratios = [ratio_sample(each["spent"]) for each in moments]
    cuped, delta = found.guardrails
    assert (cuped.estimator, delta.estimator) == ("cuped", "delta")
    assert cuped.difference == pytest.approx(adjusted.treatment.mean - adjusted.control.mean, rel=1e-9)
    values = [one.mean for one in ratios if not isinstance(one, NotEstimable)]
    assert (delta.control, delta.value) == pytest.approx(tuple(values), rel=1e-9)
    assert None not in (cuped.low, cuped.high, delta.low, delta.high)
