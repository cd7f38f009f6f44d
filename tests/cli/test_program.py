"""The frame around all commands."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from foldline.cli import program
from foldline.errors import CODES, FoldlineError, InputError, LogError
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_help_names_every_noun(run: Run) -> None:
    """The root help lists each noun with a summary."""
    ran = run("--help")
    assert ran.status == 0
    assert all(f"\n  {noun}  " in ran.out for noun in program.NOUNS)


def test_version(run: Run) -> None:
    """--version prints the package's."""
    assert run("--version").out == "foldline 0.1.0\n"


@pytest.mark.parametrize("noun", program.NOUNS)
def test_every_noun_has_help(run: Run, noun: str) -> None:
    """`foldline NOUN --help` works and names the noun."""
    ran = run(noun, "--help")
    assert (ran.status, f"foldline {noun}" in ran.out) == (0, True)


def test_an_unknown_noun_is_a_usage_error_with_the_nearest_name(run: Run) -> None:
    """A typing error costs one look."""
    ran = run("topic")
    assert ran.status == 2
    assert "Did you mean 'topics'?" in ran.err


def test_help_imports_nothing_heavy() -> None:
    """Help pages load neither numpy, numba nor apsw, so that they appear at once."""
    script = (
        "import sys\nfrom foldline.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'apsw', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("input.invalid", "x=1: expected 2", field="x"), 2),
        (LogError("log.full", "the disk is full"), 1),
    ],
)
def test_errors_are_one_line_and_tell_whose_fault(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: FoldlineError, status: int
) -> None:
    """Status 2 where caller, configuration or data are at fault, 1 otherwise."""

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("foldline.policies.registry.describe", fails)
    ran = run("policies", "show", "random")
    assert (ran.status, ran.out) == (status, "")
    assert ran.err == f"foldline: {error.args[0]} [{error.code}]\n"


def test_errors_are_json_with_json(run: Run) -> None:
    """With --json the error is one JSON object on stderr."""
    ran = run("policies", "show", "thomson", "--json")
    error = json.loads(ran.err)
    assert (ran.status, ran.out) == (2, "")
    assert (set(error), error["code"]) == ({"code", "message", "field"}, "input.unknown_policy")
    assert error["code"] in CODES


def test_interrupt_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends quietly with the shell's status for it."""

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("foldline.policies.registry.describe", interrupted)
    ran = run("policies", "show", "random")
    assert (ran.status, ran.err) == (130, "")
