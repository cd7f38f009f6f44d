"""The house rules of CONTRIBUTING.md that no other tool holds. `make house` prints what breaks them.

A rule is a function from the root of a checkout to the faults it finds, listed in `RULES`; each has a test in
`tests/house` that breaks it.
"""

import ast
import graphlib
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAX_LINES = 600
MAX_NAMES = 25
PURE_ROOMS = ("records", "stats", "fold", "models", "policies", "experiments", "loops")
BANNED_NAMES = {"base", "common", "core", "helper", "helpers", "manager", "managers", "util", "utils"}
RESERVED_CODES: dict[str, str] = {}
"""Error codes raised nowhere yet, with the reason they stand in the list already."""

PLACES = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w")
HOSTS = re.compile(r"pypi\.org|pythonhosted\.org|--(?:extra-)?index-url|--find-link[s]|registry\.npmjs")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
SUPPRESSION = re.compile(
    r"#\s*(?:type:\s*ignore(?:\[(?P<type>[\w, -]*)\])?|noqa(?::\s*(?P<noqa>[A-Z]+\d+(?:,\s*[A-Z]+\d+)*))?)"
)
TEXT = {
    "",
    ".cfg",
    ".css",
    ".html",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".ts",
    ".txt",
    ".yaml",
    ".yml",
}
FOLDERS = (".ci", "benchmarks", "clients", "deploy", "docs", "src", "tests", "tools")
CODE = ("benchmarks", "src", "tests", "tools")


def files_are_short(root: Path) -> Iterator[str]:
    """At most 600 lines a file of code, in either language."""
    scripts = [path for end in ("js", "ts") for path in sorted((root / "clients").rglob(f"*.{end}"))]
    for path in [*_python(root, *CODE), *scripts]:
        lines = len(_text(path).splitlines())
        if lines > MAX_LINES:
            yield f"{_name(root, path)}: {lines} lines; at most {MAX_LINES}, split it"


def facade_is_small(root: Path) -> Iterator[str]:
    """At most 25 public names in the package itself."""
    for node in ast.parse(_text(root / "src/foldline/__init__.py")).body:
        if (
            isinstance(node, ast.Assign)
            and _targets(node) == ["__all__"]
            and isinstance(node.value, ast.List)
        ):
            count = len(node.value.elts)
            if count > MAX_NAMES:
                yield f"src/foldline/__init__.py: {count} public names; at most {MAX_NAMES}"
            return
    yield "src/foldline/__init__.py: no list __all__"


def modules_say_what_they_hold(root: Path) -> Iterator[str]:
    """No module named for being shared."""
    for path in _python(root, *CODE):
        parts = path.relative_to(root).with_suffix("").parts
        for part in parts:
            if part.strip("_").removeprefix("test_") in BANNED_NAMES:
                yield f"{_name(root, path)}: {part!r} says nothing; name the module for what it holds"


def input_is_not_asserted(root: Path) -> Iterator[str]:
    """No assert in the package, outside the conformance suites: it vanishes under -O."""
    for path in _python(root, "src"):
        if "testing" in path.relative_to(root).parts:
            continue
        for node in ast.walk(ast.parse(_text(path))):
            if isinstance(node, ast.Assert):
                yield f"{_name(root, path)}:{node.lineno}: assert; raise an error of foldline.errors"


def suppressions_have_reasons(root: Path) -> Iterator[str]:
    """Each `type: ignore` and `noqa` names its codes, and says why in the same comment."""
    for path in _python(root, *CODE):
        text = _text(path)
        for line, comment in _comments(text):
            found = list(SUPPRESSION.finditer(comment))
            codes = [
                code for match in found for code in re.split(r",\s*", match["type"] or match["noqa"] or "")
            ]
            if not found:
                continue
            reason = SUPPRESSION.sub(" ", comment)
            if "" in codes:
                yield f"{_name(root, path)}:{line}: a suppression without code: {comment!r}"
            elif len(re.findall(r"\w\w+", reason)) < 2:
                yield f"{_name(root, path)}:{line}: a suppression without reason: {comment!r}"


def nothing_is_unfinished(root: Path) -> Iterator[str]:
    """No note of work to be done: it belongs where work is tracked."""
    for path, number, line in _lines(root):
        if UNFINISHED.search(line):
            yield f"{_name(root, path)}:{number}: unfinished: {line.strip()[:80]!r}"


def nothing_names_a_machine(root: Path) -> Iterator[str]:
    """No path of one person's machine and no package registry's host."""
    for path, number, line in _lines(root):
        if PLACES.search(line) or HOSTS.search(line):
            yield f"{_name(root, path)}:{number}: names a machine or a registry: {line.strip()[:80]!r}"


def error_codes_are_raised(root: Path) -> Iterator[str]:
    """Every code stands in the code that raises it, and every code raised is listed."""
    listed = _codes(root)
    used: set[str] = set()
    for path in _python(root, "src"):
        tree = ast.parse(_text(path))
        strings = {
            n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        if path == root / "src/foldline/errors.py":
            listed = _keys(tree, "CODES")
            strings = {string for call in _calls(tree) for arg in call.args for string in _strings(arg)}
        used |= strings
        for call in _calls(tree):
            code = _raised(call)
            if code is not None and code not in _codes(root):
                yield f"{_name(root, path)}:{call.lineno}: error code {code!r} is not in foldline.errors.CODES"
    for code in sorted(listed - used - RESERVED_CODES.keys()):
        yield f"src/foldline/errors.py: {code!r} is raised nowhere; remove it, or reserve it in tools/house.py"


def benchmarks_say_what_they_measure(root: Path) -> Iterator[str]:
    """Every benchmark's docstring names question, workload, peer and command."""
    for path in _python(root, "benchmarks"):
        text = _text(path)
        doc = ast.get_docstring(ast.parse(text)) or ""
        missing = [word for word in ("Question:", "Workload:", "Peer:", "Command:") if word not in doc]
        if "__main__" in text and missing:
            yield f"{_name(root, path)}: its docstring lacks {', '.join(missing)}"


def layers_are_drawn(root: Path) -> Iterator[str]:
    """The table of layers in ARCHITECTURE.md is the import contract."""
    held = [re.findall(r"\w+", layer) for layer in _contract(root, "layers")["layers"]]
    rows = re.findall(r"^\| *\d+ *\|([^|]*)\|", _text(root / "ARCHITECTURE.md"), flags=re.MULTILINE)
    drawn = [re.findall(r"`(\w+)`", row) for row in rows]
    if drawn != held:
        yield f"ARCHITECTURE.md: its layers {drawn} are not those of pyproject.toml {held}"


def files_import_in_no_circle(root: Path) -> Iterator[str]:
    """No file needs, however far round, one that needs it: for its types, or within a function, neither."""
    source = root / "src"
    files = {".".join(path.relative_to(source).with_suffix("").parts): path for path in _python(root, "src")}
    needs: dict[str, set[str]] = {}
    for name, path in files.items():
        # Its package's face only hands names on.
        if path.name != "__init__.py":
            found = [node for node in ast.walk(ast.parse(_text(path))) if isinstance(node, ast.ImportFrom)]
            named = {f"{node.module}.{each.name}" for node in found for each in node.names}
            needs[name] = (named | {f"{node.module}" for node in found}) & files.keys()
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        yield f"{_name(root, files[circle[0]])}: imports in a circle: {' <- '.join(circle)}"


def pure_rooms_are_held(root: Path) -> Iterator[str]:
    """Every pure room that stands is in the contract of pure rooms, and the banned calls bite there."""
    held = set(_contract(root, "forbidden")["source_modules"])
    freed = _pyproject(root)["tool"]["ruff"]["lint"]["per-file-ignores"]
    for room in PURE_ROOMS:
        stands = (root / "src/foldline" / room).is_dir()
        if stands and f"foldline.{room}" not in held:
            yield f"pyproject.toml: the pure room {room!r} is not in the contract of pure rooms"
        for pattern, rules in freed.items():
            if "TID251" in rules and room in re.findall(r"\w+", pattern):
                yield f"pyproject.toml: {pattern!r} frees the pure room {room!r} from the banned calls"


def versions_agree(root: Path) -> Iterator[str]:
    """The changelog's newest version, the package's and the project's are one."""
    version = _pyproject(root)["project"]["version"]
    if f'__version__ = "{version}"' not in _text(root / "src/foldline/__init__.py"):
        yield f"src/foldline/__init__.py: __version__ is not {version!r} of pyproject.toml"
    newest = re.search(r"^## +([\d.]+)", _text(root / "CHANGELOG.md"), flags=re.MULTILINE)
    if newest is None or newest[1] != version:
        yield f"CHANGELOG.md: its newest version is not {version!r} of pyproject.toml"


def links_lead_somewhere(root: Path) -> Iterator[str]:
    """Every relative link of a page names a file that is there."""
    pages = [path for folder in ("clients", "docs") for path in sorted((root / folder).rglob("*.md"))]
    for path in [*root.glob("*.md"), *pages]:
        for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", _text(path)):
            if not (path.parent / target).exists():
                yield f"{_name(root, path)}: the link to {target!r} leads nowhere"


def pages_are_fresh(root: Path) -> Iterator[str]:
    """The generated pages say what the code says."""
    from tools.docs import stale

    for path in stale(root):
        yield f"{path}: differs from the code; run: make docs"


def commands_show_an_example(_root: Path) -> Iterator[str]:
    """Every command's help carries an example."""
    from tools.docs import command_helps

    pages = list(command_helps())
    groups = {path.rsplit(maxsplit=1)[0] for path, _ in pages}
    for path, text in pages:
        if (
            path not in groups
            and f": {path} " not in text + " "
            and not re.search(r"Examples?:\s+foldline", text)
        ):
            yield f"{path}: its help page has no line 'Example: {path} …'"


RULES: tuple[Callable[[Path], Iterator[str]], ...] = (
    files_are_short,
    facade_is_small,
    modules_say_what_they_hold,
    input_is_not_asserted,
    suppressions_have_reasons,
    nothing_is_unfinished,
    nothing_names_a_machine,
    error_codes_are_raised,
    benchmarks_say_what_they_measure,
    layers_are_drawn,
    files_import_in_no_circle,
    pure_rooms_are_held,
    versions_agree,
    links_lead_somewhere,
    pages_are_fresh,
    commands_show_an_example,
)


def main() -> None:
    """Print every fault; exit status 1 if there is one."""
    root = Path(__file__).resolve().parent.parent
    faults = [fault for rule in RULES for fault in rule(root)]
    for fault in faults:
        print(fault)
    print(f"house: {len(RULES)} rules, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def _python(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def _lines(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Every line of every text file of the project; `.git` is a file in a linked worktree, and none of them."""
    inside = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    for path in [*sorted(root.glob("*")), *inside]:
        if path.is_file() and path.suffix in TEXT and path.name not in {".git", "LICENSE"}:
            for number, line in enumerate(_text(path).splitlines(), start=1):
                yield path, number, line


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads(_text(root / "pyproject.toml"))


def _contract(root: Path, kind: str) -> dict[str, Any]:
    contracts: list[dict[str, Any]] = _pyproject(root)["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["type"] == kind)


def _targets(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _strings(tree: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _keys(tree: ast.Module, name: str) -> set[str]:
    """The keys of a module's dict literal."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return {string for key in getattr(node.value, "keys", []) for string in _strings(key)}
    return set()


def _codes(root: Path) -> set[str]:
    return _keys(ast.parse(_text(root / "src/foldline/errors.py")), "CODES")


def _raised(call: ast.Call) -> str | None:
    """The code a call of an error class names."""
    named = isinstance(call.func, ast.Name) and call.func.id.endswith("Error") and call.args
    first = call.args[0] if named else None
    if (
        isinstance(first, ast.Constant)
        and isinstance(first.value, str)
        and re.fullmatch(r"\w+\.\w+", first.value)
    ):
        return first.value
    return None


if __name__ == "__main__":
    main()
