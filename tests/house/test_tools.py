"""The contracts and banned calls in pyproject.toml find what breaks them."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _ruff(name: str, code: str) -> str:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format",
        "concise",
        "--stdin-filename",
    ]
    ran = subprocess.run(
        [*command, name, "-"], input=code, capture_output=True, text=True, cwd=ROOT, check=False
    )
    return ran.stdout


BANNED = [
    "import time\n\ntime.time()",
    "import time\n\ntime.monotonic()",
    "import random\n\nrandom.random()",
    "import uuid\n\nuuid.uuid4()",
    "import os\n\nos.urandom(8)",
    "import secrets\n\nsecrets.token_hex()",
    "import datetime\n\ndatetime.datetime.now(datetime.UTC)",
    "from datetime import UTC, datetime\n\ndatetime.now(UTC)",
    "import numpy as np\n\nnp.random.default_rng()",
]


@pytest.mark.parametrize("room", ["records", "stats", "fold", "models", "policies", "experiments", "loops"])
def test_pure_rooms_may_not_call_clocks_or_randomness(room: str) -> None:
    """Each banned call, or the import it needs, is found in each pure room."""
    code = "\n".join("def f():\n" + textwrap.indent(snippet, "    ") for snippet in BANNED)
    found = {
        int(line) for line in re.findall(r":(\d+):\d+: TID251", _ruff(f"src/foldline/{room}/rule.py", code))
    }
    starts = [n for n, line in enumerate(code.splitlines(), start=1) if line == "def f():"]
    assert [bool(found & set(range(start, start + 4))) for start in starts] == [True] * len(BANNED)


def test_other_rooms_may() -> None:
    """The engine reads clocks."""
    assert "TID251" not in _ruff("src/foldline/engine/host.py", f'"""X."""\n\n{BANNED[0]}\n')


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("from .types import Record\n", "TID252"),
        ("def f(x: int) -> int:\n    return x\n", "D103"),
        ("print(1)\n", "T201"),
        ("try:\n    x = 1\nexcept Exception:\n    pass\n", "BLE001"),
    ],
)
def test_the_style_is_held(code: str, rule: str) -> None:
    """Relative imports, undocumented names, stray prints and swallowed errors are found."""
    assert rule in _ruff("src/foldline/records/types.py", f'"""X."""\n\n{code}')


def test_a_module_needs_a_docstring() -> None:
    """What a module is for stands at its top."""
    assert "D100" in _ruff("src/foldline/records/types.py", "x = 1\n")


@pytest.mark.parametrize(
    ("name", "code", "contract"),
    [
        ("records/upwards.py", "import foldline.policies.protocol", "imports run one way"),
        ("stats/sideways.py", "import foldline.records.types", "imports run one way"),
        ("newroom/__init__.py", "", "imports run one way"),
        ("fold/threads.py", "import threading", "pure rooms"),
        ("policies/clock.py", "import time", "pure rooms"),
        ("loops/through.py", "import foldline.log.clock", "pure rooms"),
        (
            "fold/protocol.py",
            "import foldline.fold.emits\nimport foldline.fold.loopback",
            "no room needs a sibling",
        ),
    ],
)
def test_import_contracts_find_what_breaks_them(tmp_path: Path, name: str, code: str, contract: str) -> None:
    """An import upwards, sideways, of I/O (also through another module), in a circle, or a room without place."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "src/foldline" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'"""X."""\n\n{code}\n')
    if "loopback" in code:
        (path.parent / "loopback.py").write_text('"""X."""\n\nimport foldline.fold.emits\n')
        (path.parent / "emits.py").write_text('"""X."""\n\nimport foldline.fold.loopback\n')
    lint = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
        "--no-logo",
    ]
    ran = subprocess.run(
        lint,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={"PYTHONPATH": str(tmp_path / "src")},
    )
    broken = [line for line in ran.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), ran.stdout + ran.stderr
