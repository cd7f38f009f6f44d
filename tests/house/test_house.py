"""Every house rule holds on this checkout's form and finds what breaks it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools import house

PYPROJECT = """
[project]
version = "1.2.3"
[tool.ruff.lint.per-file-ignores]
"src/foldline/{engine,log}/**" = ["TID251"]
[[tool.importlinter.contracts]]
type = "layers"
layers = ["(cli) | (testing)", "records | stats", "errors"]
[[tool.importlinter.contracts]]
type = "forbidden"
source_modules = ["foldline.records"]
"""

SOUND = {
    "pyproject.toml": PYPROJECT,
    "ARCHITECTURE.md": "| 3 | `cli`, `testing` | |\n| 2 | `records`, `stats` | |\n| 1 | `errors` | |\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3\n\nSee [there](docs/page.md#part) and [out](https://example.org).\n",
    "docs/page.md": "[up](../CHANGELOG.md)\n",
    "src/foldline/__init__.py": '__version__ = "1.2.3"\n__all__ = ["a", "b"]\n',
    "src/foldline/errors.py": 'CODES: dict[str, str] = {"log.full": "no room; make some"}\n',
    "src/foldline/records/types.py": 'from foldline.errors import LogError\nraise LogError("log.full", "full")\n',
    "src/foldline/testing/check_log.py": "assert True\n",
    "tests/test_types.py": "assert True\n",
    "benchmarks/append.py": '"""Question: Workload: Peer: Command:"""\nif __name__ == "__main__":\n    pass\n',
    "tools/house.py": "x = y  # type: ignore[misc]  # y comes from elsewhere\n",
}

SLASH = "/"

BROKEN = [
    (house.files_are_short, "src/foldline/records/long.py", "x = 1\n" * 601, "601 lines"),
    (house.files_are_short, "tests/test_long.py", "x = 1\n" * 601, "601 lines"),
    (house.files_are_short, "clients/js/src/long.js", "f();\n" * 601, "601 lines"),
    (
        house.facade_is_small,
        "src/foldline/__init__.py",
        f"__all__ = {[f'n{i}' for i in range(26)]}\n",
        "26 public",
    ),
    (house.facade_is_small, "src/foldline/__init__.py", "", "no list __all__"),
    (house.modules_say_what_they_hold, "src/foldline/log/utils.py", "", "'utils'"),
    (house.modules_say_what_they_hold, "src/foldline/core/topic.py", "", "'core'"),
    (house.modules_say_what_they_hold, "tests/log/test_helpers.py", "", "'test_helpers'"),
    (house.input_is_not_asserted, "src/foldline/log/open.py", "def f(x):\n    assert x\n", "open.py:2"),
    (house.suppressions_have_reasons, "src/foldline/a.py", "x = 1  # type: ignore\n", "without code"),
    (house.suppressions_have_reasons, "src/foldline/a.py", "x = 1  # no" + "qa\n", "without code"),
    (house.suppressions_have_reasons, "src/foldline/a.py", "x = 1  # type: ignore[misc]\n", "without reason"),
    (house.suppressions_have_reasons, "tests/a.py", "x = 1  # no" + "qa: S608\n", "without reason"),
    (house.suppressions_have_reasons, "tests/a.py", "import numba  # type: ignore[misc]\n", "without reason"),
    (house.nothing_is_unfinished, "docs/page.md", "TO" + "DO: write this\n", "page.md:1"),
    (house.nothing_is_unfinished, "src/foldline/a.py", "x = 1  # FIX" + "ME\n", "a.py:1"),
    (house.nothing_names_a_machine, "Makefile", f"\ncd {SLASH}home/ada/foldline\n", "Makefile:2"),
    (house.nothing_names_a_machine, ".ci/run", f"cd {SLASH}root/foldline\n", ".ci/run:1"),
    (
        house.nothing_names_a_machine,
        "requirements.lock",
        "--index" + "-url somewhere\n",
        "requirements.lock:1",
    ),
    (house.error_codes_are_raised, "src/foldline/records/types.py", "", "'log.full' is raised nowhere"),
    (
        house.error_codes_are_raised,
        "src/foldline/a.py",
        'raise LogError("log.ful", "x")\n',
        "'log.ful' is not in",
    ),
    (
        house.benchmarks_say_what_they_measure,
        "benchmarks/b.py",
        '"""Question:"""\n"__main__"\n',
        "Workload:, Peer:",
    ),
    (house.layers_are_drawn, "ARCHITECTURE.md", "| 2 | `cli` |\n| 1 | `errors` |\n", "its layers"),
    (
        house.files_import_in_no_circle,
        "src/foldline/errors.py",
        "CODES = {}\nif x:\n    from foldline.records.types import A\n",
        "foldline.errors",
    ),
    (house.pure_rooms_are_held, "src/foldline/fold/rule.py", "", "'fold' is not in the contract"),
    (
        house.pure_rooms_are_held,
        "pyproject.toml",
        PYPROJECT.replace("{engine,log}", "{engine,records}"),
        "frees the pure room 'records'",
    ),
    (house.versions_agree, "CHANGELOG.md", "## 1.2.4\n", "CHANGELOG.md: its newest version is not '1.2.3'"),
    (
        house.versions_agree,
        "src/foldline/__init__.py",
        '__version__ = "1.2.2"\n',
        "__version__ is not '1.2.3'",
    ),
    (house.links_lead_somewhere, "docs/page.md", "[gone](gone.md)\n", "'gone.md' leads nowhere"),
    (house.pages_are_fresh, "docs/errors.md", "# Errors\n", "docs/errors.md: differs from the code"),
]

Rule = Callable[[Path], Iterator[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout that breaks no rule."""
    for name, text in SOUND.items():
        _write(tmp_path, name, text)
    return tmp_path


def _write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("rule", [rule for rule in house.RULES if rule is not house.pages_are_fresh])
def test_a_sound_checkout_has_no_faults(checkout: Path, rule: Rule) -> None:
    """No rule finds a fault where there is none."""
    assert list(rule(checkout)) == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "fault"), BROKEN, ids=[f"{b[0].__name__}-{b[1]}" for b in BROKEN]
)
def test_each_rule_finds_what_breaks_it(checkout: Path, rule: Rule, name: str, text: str, fault: str) -> None:
    """One file written wrongly is one fault that names the file or the thing."""
    _write(checkout, name, text)
    found = list(rule(checkout))
    assert any(fault in line for line in found), found


def test_every_rule_has_a_case_that_breaks_it() -> None:
    """A rule without such a case could be dead. Commands have their own below."""
    assert {case[0] for case in BROKEN} | {house.commands_show_an_example} == set(house.RULES)


@pytest.mark.parametrize(("text", "faults"), [("  Example: foldline x y", 0), ("  It does things.", 1)])
def test_commands_without_an_example_are_found(
    monkeypatch: pytest.MonkeyPatch, text: str, faults: int
) -> None:
    """A verb needs an example on its page; a noun with verbs does not."""
    pages = [("foldline", "Usage"), ("foldline x", "Usage"), ("foldline x y", f"Usage\n\n{text}\n")]
    monkeypatch.setattr("tools.docs.command_helps", lambda: iter(pages))
    assert len(list(house.commands_show_an_example(Path()))) == faults
