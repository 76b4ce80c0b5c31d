"""The checkout's own files, without any that a program made, for the tests of this folder."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "flows",
    "tasks",
    "blocks",
    "recovery",
    "relay",
    "deployments",
    "simulated_aws",
    "demo",
    "proof",
    "benchmarks",
    "examples",
)
LAYERS_OF_A_PATH = ("flows", "tasks", "recovery", "docs/paths")
WITHOUT_A_PATH = {"cases", "digest", "discover", "operations", "plans"}
"""Flows that recover nothing themselves: no rules, no gateway and no page of a path."""


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """The project's files that git tracks or would track, relative to the checkout; all of them without a suffix."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    found = (Path(name) for name in listed.split("\0") if name)
    # A file that was deleted and not yet committed is still listed.
    return tuple(sorted(f for f in found if (PROJECT / f).is_file() and (not suffixes or f.suffix in suffixes)))


def modules(*folders: str) -> tuple[Path, ...]:
    """The Python modules below the folders (all of the project's when none is named)."""
    return tuple(f for f in files(".py") if not folders or f.parts[0] in folders)


def text(file: Path) -> str:
    """The file's text; empty for one that is not text."""
    try:
        return (PROJECT / file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def paths() -> tuple[str, ...]:
    """The recovery paths that exist: a path is a package of `recovery` that decides and acts on AWS."""
    packages = {f.parts[1]: set[str]() for f in modules("recovery") if len(f.parts) > 2}
    for file in modules("recovery"):
        if len(file.parts) > 2:
            packages[file.parts[1]].add(Path(file.parts[2]).stem)  # a module, or a package of its own
    return tuple(sorted(name for name, stems in packages.items() if {"rules", "gateway"} <= stems))
