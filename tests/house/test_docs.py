"""The generated pages."""

from pathlib import Path

from foldline.cli.program import NOUNS
from foldline.errors import CODES
from foldline.policies.registry import POLICIES
from tools import docs


def test_every_error_code_is_on_the_page_once() -> None:
    """Each code has its row, under the class that carries it."""
    page = docs.errors_page()
    assert {code: page.count(f"| `{code}` |") for code in CODES} == dict.fromkeys(CODES, 1)


def test_every_noun_and_policy_is_on_its_page() -> None:
    """Commands and policies are documented from their registries."""
    cli, policies = docs.cli_page(), docs.policies_page()
    assert all(f"### `foldline {noun}`" in cli for noun in NOUNS)
    assert all(f"## {policy.__struct_config__.tag}\n" in policies for policy in POLICIES)


def test_stale_pages_are_named(tmp_path: Path) -> None:
    """Missing and differing pages are stale; those written are not."""
    assert docs.stale(tmp_path) == list(docs.PAGES)
    for path, page in docs.PAGES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(page(), encoding="utf-8")
    assert docs.stale(tmp_path) == []
    (tmp_path / "docs/cli.md").write_text("# old\n")
    assert docs.stale(tmp_path) == ["docs/cli.md"]
