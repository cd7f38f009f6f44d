"""Promoting a variant to the loop's policy, at once or to a share of the units first; and going back, in one step.

What is promoted is written to the experiment first, then to the loop, then the experiment ends. Every step can be done
again: a process that dies in between leaves units with the winner, and the same command completes it.
"""

import msgspec

from foldline.engine.announcer import read_announcements
from foldline.engine.defining import define, read_catalogue
from foldline.engine.experimenting import change_experiment, ended, read_experiments
from foldline.errors import DefinitionError, InputError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition


def promote(
    log: Log, name: str, *, variant: str | None = None, share: float = 1.0, holder: str, now: int
) -> ExperimentDefinition:
    """Give a variant to a share of the units; or to all: its policy becomes the loop's, and the experiment ends.

    Args:
        log: the log.
        name: the experiment's.
        variant: which; by default the verdict's winner.
        share: of the eligible units; it only rises, and moves nobody back.
        holder: names this process in leases.
        now: milliseconds.

    Returns:
        The experiment's newest version.

    Raises:
        InputError: there is no such experiment or variant, or no winner and no variant is named.
        DefinitionError: it does not run, so that no share of its units can be given anything; or the share would fall.
    """
    loops, experiments = _catalogues(log)
    one = experiments.one(name)
    if not 0.0 < share <= 1.0:
        raise InputError(
            "input.invalid", f"share is {share!r}; expected above 0, at most 1", field="share", value=share
        )
    key = one.variant(variant).key if variant is not None else _winner(log, loops, one)
    if share < 1.0 and one.state != "running":
        raise DefinitionError(
            "definition.conflict",
            f"experiment {name!r} is {one.state}: a share of its units can be promoted while it runs, or its variant "
            "whole (share 1)",
            field="share",
        )
    version = loops.one(one.loop).version if one.replaced is None else one.replaced

    def promoted(old: ExperimentDefinition | None) -> ExperimentDefinition:
        standing = old or one
        wanted = msgspec.structs.replace(
            standing,
            promoted=key,
            promoted_share=share,
            replaced=version if share == 1.0 else standing.replaced,
        )
        return standing if wanted == standing else wanted

    made = change_experiment(log, experiments, loops, name, promoted, holder=holder, now=now)
    if share < 1.0:
        return made
    _give_policy(log, one.loop, dict(made.variant(key).policy), holder, now)
    return change_experiment(
        log,
        experiments,
        loops,
        name,
        lambda old: ended(old or made, now, "promotion"),
        holder=holder,
        now=now,
    )


def roll_back(log: Log, name: str, *, holder: str, now: int) -> ExperimentDefinition:
    """Take a promotion back: nobody gets the variant for it, and the loop gets the policy that it had.

    Raises:
        InputError: `input.unknown_experiment`.
        DefinitionError: nothing is promoted; or the loop's policy was changed since, so that there is no way back.
    """
    loops, experiments = _catalogues(log)
    one = experiments.one(name)
    if one.promoted is None:
        raise DefinitionError(
            "definition.conflict",
            f"experiment {name!r} has promoted nothing; there is no way back",
            field="name",
        )
    if one.replaced is not None:
        before = loops.at(one.loop, one.replaced).policy
        present, given = loops.one(one.loop).policy, one.variant(one.promoted).policy
        if present not in (given, before):
            raise DefinitionError(
                "definition.conflict",
                f"loop {one.loop!r} has policy {present!r} by now, which is not that of variant {one.promoted!r}: "
                "define the one wanted yourself",
                field="policy",
            )
        _give_policy(log, one.loop, before, holder, now)
    return change_experiment(
        log,
        experiments,
        loops,
        name,
        lambda old: msgspec.structs.replace(old or one, promoted=None, promoted_share=0.0, replaced=None),
        holder=holder,
        now=now,
    )


def _winner(log: Log, loops: Catalogue, one: ExperimentDefinition) -> str:
    said = read_announcements(log, loops.one(one.loop), one.name)
    winner = next((each.verdict.winner for each in said if each.verdict is not None), None)
    if winner is None:
        verdict = next((each.verdict for each in said if each.verdict is not None), None)
        why = "has no verdict yet" if verdict is None else f"was {verdict.result.replace('_', ' ')}"
        raise InputError(
            "input.invalid",
            f"experiment {one.name!r} {why}; to promote a variant all the same, name it: one of {', '.join(one.keys)}",
            field="variant",
        )
    return winner


def _give_policy(log: Log, loop: str, policy: dict[str, object], holder: str, now: int) -> None:
    """The loop's next version, with that policy; nothing where it has it already."""

    def settle(old: LoopDefinition | None) -> LoopDefinition:
        if old is None:
            raise InputError("input.unknown_loop", f"no loop {loop!r} stands on this log")
        if old.policy == policy:
            return old
        return msgspec.structs.replace(old, version=old.version + 1, time=now, policy=policy)

    define(log, Catalogue(), loop, settle, holder=holder, now=now)


def _catalogues(log: Log) -> tuple[Catalogue, ExperimentCatalogue]:
    loops, experiments = Catalogue(), ExperimentCatalogue()
    read_catalogue(log, loops)
    read_experiments(log, experiments)
    return loops, experiments
