"""Tokens: keys that an experiment gives, to decide and report in its loop for the version that it was made of.

What an experiment is, is fixed with its start: goal, variants, rule. Later versions that only start, pause, ramp or
end it are the same test, and its tokens hold; of a version that differs in anything else they do not.
"""

from foldline.errors import DefinitionError, InputError
from foldline.experiments.definition import ExperimentDefinition
from foldline.serving.keys import Key, Keyring

DAY_MS = 86_400_000


def add_token(
    keyring: Keyring, experiment: ExperimentDefinition, name: str, days: float | None, *, now: int
) -> tuple[Key, str]:
    """Make a token; the key on the log, and the token, which is stored nowhere.

    Args:
        keyring: up to date.
        experiment: the version that it is for.
        name: what people call it.
        days: after which it expires; None for never.
        now: milliseconds.

    Raises:
        DefinitionError: `definition.conflict` where nobody has a key yet.
    """
    if not keyring.closed:
        raise DefinitionError(
            "definition.conflict",
            "this log has no key, so its services are open to all: a token would close them, and nobody could ask "
            "anything else; make a key first: foldline keys add NAME --role admin",
            field="token",
        )
    return keyring.add(
        name,
        ("decide", "reward"),
        now=now,
        expires=None if days is None else now + round(days * DAY_MS),
        experiment=experiment.name,
        version=experiment.version,
        loop=experiment.loop,
    )


def tokens_of(keyring: Keyring, experiment: str) -> list[Key]:
    """An experiment's tokens, those taken back too, the oldest first."""
    return [key for key in keyring.all() if key.experiment == experiment]


def revoke_token(keyring: Keyring, experiment: str, id: str, *, now: int) -> Key:
    """Take one back.

    Raises:
        InputError: `input.invalid` where no token of the experiment has the id.
    """
    known = {key.id for key in tokens_of(keyring, experiment)}
    if id not in known:
        raise InputError(
            "input.invalid",
            f"id is {id!r}: no token of experiment {experiment!r} has it; expected one of {sorted(known)!r}",
            field="id",
            value=id,
        )
    return keyring.revoke(id, now=now)
