"""Data for the fraud demo: sets that come with River, or any table with a label in each row."""

import itertools
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from foldline.errors import InputError, MissingExtra
from foldline.records.types import Value
from foldline.simulation.readers.labelled_table import read_table

BUNDLED: Final = {"phishing": "Phishing", "bananas": "Bananas"}
"""By name, River's sets that come with it."""

DOWNLOADED: Final = {"elec2": "Elec2", "creditcard": "CreditCard"}
"""By name, those that River downloads once."""

_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Stream:
    """Examples in their order.

    Attributes:
        name: of the data set.
        rows: features and label of each.
        units: whose each is.
        unlabelled: rows of the table left out since their label is empty.
    """

    name: str
    rows: list[tuple[dict[str, Any], Value]]
    units: list[str]
    unlabelled: int = 0

    def with_numbers(self) -> "Stream":
        """The same with labels that are numbers, for a regressor: of two classes 0 and 1.

        Raises:
            InputError: `input.invalid` where a label is none.
        """
        rows: list[tuple[dict[str, Any], Value]] = []
        for x, y in self.rows:
            try:
                rows.append((x, float(y)))
            except ValueError as error:
                raise InputError(
                    "input.invalid",
                    f"label {y!r} of {self.name!r} is no number, and a regressor predicts numbers; name another column "
                    "as target, or a classifier as model",
                    field="target",
                    value=y,
                ) from error
        return replace(self, rows=rows)


def read_stream(
    dataset: str,
    *,
    target: str | None = None,
    positive: str | None = None,
    unit: str | None = None,
    rows: int | None = None,
) -> Stream:
    """A data set by name, path or URL.

    Args:
        dataset: `phishing`, `bananas`, `elec2`, `creditcard`; or the path or URL of a CSV file, plain or gzipped.
        target: the column with the label, the last by default.
        positive: a label that is the positive class, all others the negative.
        unit: the column that says whose a row is; by default each row is a unit of its own.
        rows: only so many.

    Raises:
        InputError: `input.unreadable` where it cannot be read or fetched; `input.invalid` for a column not there.
        MissingExtra: it is River's, which is not installed.
    """
    unlabelled = 0
    if dataset in BUNDLED or dataset in DOWNLOADED:
        found = list(itertools.islice(_rivers(dataset), rows))
        features = [x for x, _ in found]
        labels: list[Value] = [y for _, y in found]
    elif "://" in dataset:
        with tempfile.TemporaryDirectory(prefix="foldline-fraud-") as folder:
            fetched = Path(folder, dataset.rpartition("/")[2].partition("?")[0] or "table.csv")
            _fetch(dataset, fetched)
            return read_stream(str(fetched), target=target, positive=positive, unit=unit, rows=rows)
    elif not Path(dataset).is_file():
        named = ", ".join([*BUNDLED, *DOWNLOADED])
        raise InputError(
            "input.unreadable",
            f"no file {dataset!r}; expected the path or URL of a CSV file, or one of {named}",
            field="dataset",
            value=dataset,
        )
    else:
        table = read_table(Path(dataset), target, positive)
        binary = table.is_binary
        pairs = list(table.rows(0, rows))
        features = [x for x, y in pairs if y >= 0]
        labels = [bool(y) if binary else table.classes[y] for _, y in pairs if y >= 0]
        unlabelled = len(pairs) - len(labels)
    if unit is None:
        units = [f"row-{number}" for number in range(len(labels))]
    elif features and unit in features[0]:
        units = [str(x.pop(unit, "none")) for x in features]
    else:
        raise InputError(
            "input.invalid",
            f"{dataset!r} has no column {unit!r}; it has {sorted(features[0]) if features else 'no rows'!r}",
            field="unit",
            value=unit,
        )
    name = Path(dataset).name.partition(".")[0]
    return Stream(name, list(zip(features, labels, strict=True)), units, unlabelled)


def _rivers(dataset: str) -> Any:
    try:
        from river import datasets
    except ImportError as error:
        raise MissingExtra("river", f"the data set {dataset!r}") from error
    made: Any = getattr(datasets, {**BUNDLED, **DOWNLOADED}[dataset])()
    if dataset in DOWNLOADED and not made.is_downloaded:
        try:
            made.download(verbose=False)
        except OSError as error:
            raise InputError(
                "input.unreadable",
                f"data set {dataset!r} could not be fetched from {made.url}: {error}; "
                "give the path of a copy: --dataset PATH.csv",
                field="dataset",
                value=dataset,
            ) from error
    return iter(made)


def _fetch(url: str, file: Path) -> None:
    if not url.startswith(("http://", "https://")):
        raise InputError(
            "input.invalid", f"{url!r}: expected http:// or https://", field="dataset", value=url
        )
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, file.open("wb") as copy:  # noqa: S310 - http only, see above
            while part := answer.read(1 << 20):
                copy.write(part)
    except (urllib.error.URLError, OSError) as error:
        raise InputError(
            "input.unreadable", f"fetching {url!r}: {error}", field="dataset", value=url
        ) from error
