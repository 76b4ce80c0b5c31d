"""The checkout's shape: what stands where, under which names, and how long it may get."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from recovery.histories.search import LEDGERED
from recovery.paths import OUTBOX_RECORDS, PATHS
from tests.project.checkout import LAYERS_OF_A_PATH, PACKAGES, PROJECT, WITHOUT_A_PATH, files, modules, paths, text

LONGEST_MODULE = 350
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared"}

# The modules in which a decision falls: same arguments, same answer (contract "pure" in pyproject.toml).
PURE = re.compile(r"recovery/(\w+/(rules|models|verdicts|policy)|backoff|report|events/\w+|failures/\w+)\.py")
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "uuid4", "uuid1", "urandom"}

IMPURE = {"boto3", "botocore", "prefect", "random", "secrets", "time", "logging", "socket", "subprocess"}

# Built from halves, so that this file does not contain what it looks for.
REGISTRY_HOSTS = tuple(
    head + tail
    for head, tail in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("crates", ".io"),
        ("anaconda", ".org"),
        ("conda-", "forge.org"),
    )
)
# Only this checkout's own place: a home directory may well stand in a recorded error message.
MACHINE_PATHS = ("/wo" + "rk/", *([f"{PROJECT}/"] if len(PROJECT.parts) > 3 else []))


def test_import_contracts_hold() -> None:
    """`lint-imports` finds every contract of pyproject.toml kept."""
    found = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


def test_every_path_is_in_the_contract_on_paths() -> None:
    """A new path cannot import another one unseen: the contract names each of them."""
    configured = tomllib.loads(text(Path("pyproject.toml")))["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in configured if c["id"] == "paths")
    assert contract["modules"] == [f"recovery.{path}" for path in paths()]


@pytest.mark.parametrize("layer", LAYERS_OF_A_PATH)
def test_the_same_nouns_stand_in_every_layer(layer: str) -> None:
    """A path with a flow has tasks, rules and a page, under one name: `ls` of a layer shows the paths.

    A path whose flow is not written yet is work under way; from its flow on it must be complete.
    """
    flows = {f.stem for f in modules("flows") if len(f.parts) == 2 and not f.stem.startswith("_")} - WITHOUT_A_PATH
    here = {
        Path(f.relative_to(layer).parts[0]).stem
        for f in files(".py", ".md")
        if f.is_relative_to(layer) and not f.stem.startswith("_")
    }
    assert flows <= here, f"{layer} lacks {sorted(flows - here)}"
    assert flows <= set(paths()), "a flow without rules and gateway"


def test_every_path_says_of_itself_what_all_need_to_know() -> None:
    """Each folder with rules is declared in `recovery/paths.py`, and makes its items' stories."""
    assert tuple(sorted(PATHS)) == tuple(paths())
    assert all(name == about.name and about.answers for name, about in PATHS.items())
    assert set(LEDGERED) == set(PATHS) - {OUTBOX_RECORDS.name}


def test_module_names_say_what_is_in_them() -> None:
    """No module is named after the fact that it holds code."""
    assert [f for f in modules() if VAGUE_NAMES & set(f.with_suffix("").parts)] == []


def test_modules_are_short() -> None:
    """A module fits into one reading."""
    lengths = {str(f): len(text(f).splitlines()) for f in modules(*PACKAGES)}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_MODULE} == {}


def test_modules_say_what_they_are() -> None:
    """A module begins with a sentence about itself, unless it is empty."""
    assert [f for f in modules() if text(f).strip() and not ast.get_docstring(ast.parse(text(f)))] == []


def test_decisions_read_no_clock() -> None:
    """Pure modules get `now` and the jitter as arguments; imports alone do not show `datetime.now()`."""
    pure = _pure_modules()
    assert [f"{f}:{line} {name}" for f in pure for line, name in _calls(f) if name.split(".")[-1] in CLOCKS] == []


def test_what_says_that_it_is_pure_imports_nothing_else() -> None:
    """The contract names the pure modules that every path has; this holds for the rest that claim to be pure."""
    imports = [(f, name) for f in _pure_modules() for name in _imports(f)]
    assert [f"{f} {name}" for f, name in imports if name.split(".")[0] in IMPURE] == []


def test_the_changelog_begins_with_this_version() -> None:
    """Whoever upgrades finds what changed under the version that `reprise --version` names."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## (\S+?),? ", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_no_test_sleeps() -> None:
    """Time passes in a test by moving a clock, or by waiting for an event with a bound."""
    calls = [(f, line, name) for f in modules("tests") for line, name in _calls(f)]
    assert [f"{f}:{line}" for f, line, name in calls if name.split(".")[-1] == "sleep"] == []


def test_every_test_says_the_behaviour() -> None:
    """A test's docstring is the sentence that it proves."""
    silent = [
        f"{f}::{node.name}"
        for f in modules("tests")
        for node in ast.walk(ast.parse(text(f)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_file_names_a_place_that_others_do_not_have() -> None:
    """Neither a package registry's host nor a folder of somebody's machine stands in the project."""
    assert len(files()) > 50
    assert [(str(f), word) for f in files() for word in (*REGISTRY_HOSTS, *MACHINE_PATHS) if word in text(f)] == []


def test_there_is_no_path_trick() -> None:
    """The project is installed where it runs, so nobody edits `sys.path`."""
    assert [f for f in modules() if any(name.startswith("sys.path.") for _, name in _calls(f))] == []


def _pure_modules() -> list[Path]:
    """Modules of `recovery` that are pure by their name, or say so in their docstring."""
    found = [
        f
        for f in modules("recovery")
        if PURE.fullmatch(f.as_posix()) or re.search(r"\bPure\b", ast.get_docstring(ast.parse(text(f))) or "")
    ]
    assert len(found) > 10
    return found


def _imports(file: Path) -> list[str]:
    """Dotted names of the modules that the module imports."""
    nodes = list(ast.walk(ast.parse(text(file))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]


@cache
def _calls(file: Path) -> list[tuple[int, str]]:
    """Line and dotted name of everything that the module calls."""
    return [
        (node.lineno, ast.unparse(node.func)) for node in ast.walk(ast.parse(text(file))) if isinstance(node, ast.Call)
    ]
