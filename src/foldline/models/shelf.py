"""The models there are, by name: ours, and River's where it is installed."""

import importlib
import inspect
from typing import Any, NamedTuple

from foldline.models.flat import KINDS
from foldline.models.online import Task
from foldline.models.river import ROOMS


class Shelved(NamedTuple):
    """A model there is.

    Attributes:
        model: its name, as a definition has it.
        task: what it predicts.
        summary: one line.
        parameters: name and default of each, as Python writes them; no default for one that must be given.
    """

    model: str
    task: Task
    summary: str
    parameters: tuple[tuple[str, str], ...]


def shelf() -> list[Shelved]:
    """Every model, ours first; River's only where it is installed.

    Example:
        >>> [each.model for each in shelf()][:2]
        ['HalfSpaceTrees', 'HoeffdingTree']
    """
    own = [Shelved(name, kind.task, kind.summary, kind.parameters) for name, kind in sorted(KINDS.items())]
    return [*own, *_rivers()]


def _rivers() -> list[Shelved]:
    try:
        base: Any = importlib.import_module("river.base")
    except ImportError:
        return []
    tasks: list[tuple[Any, Task]] = [
        (base.Classifier, "classification"),
        (base.Regressor, "regression"),
        (base.AnomalyDetector, "anomaly"),
    ]
    found = []
    for room in ROOMS:
        module = importlib.import_module(f"river.{room}")
        for name in getattr(module, "__all__", ()):
            kind = getattr(module, name, None)
            if not inspect.isclass(kind):
                continue
            task = next((task for of, task in tasks if issubclass(kind, of)), None)
            several = issubclass(kind, (base.MultiTargetRegressor, base.MultiLabelClassifier))
            if task is None or several or inspect.isabstract(kind):
                continue
            summary = (inspect.getdoc(kind) or "").partition("\n")[0]
            found.append(Shelved(f"{room}.{name}", task, summary, parameters_of(kind)))
    return found


def parameters_of(kind: Any) -> tuple[tuple[str, str], ...]:
    """Name and default of what a class takes."""
    return tuple(
        (name, "" if each.default is each.empty else repr(each.default))
        for name, each in inspect.signature(kind).parameters.items()
        if each.kind is not each.VAR_KEYWORD
    )
