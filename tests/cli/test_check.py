"""`foldline check`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from foldline.cli import check
from tests.cli.conftest import Ran

Run = Callable[..., Ran]
ALL = ["python", "sqlite", "compiled-code cache", "disk", "log"]


def test_a_fit_machine_passes(run: Run, tmp_path: Path) -> None:
    """Everything examined is reported, and a log that is not there yet is no fault."""
    ran = run("check", "--log", f"sqlite:///{tmp_path}/new.db", "--json")
    report = json.loads(ran.out)
    assert (ran.status, report["good"]) == (0, True)
    assert [finding["name"] for finding in report["findings"]] == ALL


def test_a_file_that_is_no_log_fails(run: Run, tmp_path: Path) -> None:
    """The finding says what is wrong, in one line, and the status is 1."""
    (tmp_path / "letter.db").write_text("dear reader, this is no database at all\n" * 40)
    ran = run("check", "--log", f"sqlite:///{tmp_path}/letter.db")
    assert ran.status == 1
    assert any(line.startswith("BAD  log: ") and "log.not_a_log" in line for line in ran.out.splitlines())


def test_a_full_disk_fails(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less free space than asked for is reported."""
    monkeypatch.setattr(check, "FREE_BYTES", 1 << 70)
    ran = run("check", "--log", f"sqlite:///{tmp_path}/new.db")
    assert (ran.status, "BAD  disk: " in ran.out) == (1, True)
