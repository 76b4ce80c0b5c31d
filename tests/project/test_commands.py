"""The commands of README and Makefile exist, and continuous integration or a test runs each."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.project.checkout import PROJECT, modules, text

CI = text(Path(".ci/run"))
MAKEFILE = text(Path("Makefile"))
README = text(Path("README.md"))

SHELL = {"cd", "export", "git"}
"""Commands of the shell and of git: they are not ours to prove."""

RUN_BY_HAND = {"clean", "lock", "help", "bench", "prove", "soak"}
"""Targets that only a person has use for: `clean` and `lock` change the checkout, `bench` needs a quiet machine, and
`prove` and `soak` need much time (proof/crash has a sample of what they do)."""


def targets() -> dict[str, str]:
    """The Makefile's targets, with what they need and do."""
    found = re.finditer(
        r"^(?P<name>[a-z-]+):(?P<needs>[^#\n=]*)(?:#.*)?\n(?P<recipe>(?:\t.*\n)*)", MAKEFILE, re.MULTILINE
    )
    return {entry["name"]: entry["needs"] + "\n" + entry["recipe"] for entry in found}


def run_by_ci() -> set[str]:
    """The targets that `.ci/run` makes, and those that consist of nothing else."""
    made = set(re.findall(r"\bmake ([a-z-]+)", CI))
    return made | {name for name, rule in targets().items() if rule.strip() and set(rule.split()) <= made}


def commands(language: str) -> list[str]:
    """The README's blocks in this language, joined lines and all."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [block.replace("\\\n", " ") for block in blocks]


def started_by_tests(module: str) -> bool:
    """True when a test names the module as something to run."""
    words = {
        node.value
        for file in modules("tests")
        for node in ast.walk(ast.parse(text(file)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return module in words or any(f"-m {module}" in word for word in words)


def proven(line: str) -> bool:
    """True when continuous integration or a test runs this line of a shell."""
    words = [word for word in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if not words or words[0] in SHELL:
        return True
    if words[0] == "make":
        return all(
            target in run_by_ci() | RUN_BY_HAND
            or any(started_by_tests(module) for module in re.findall(r"-m (\S+)", targets().get(target, "")))
            for target in words[1:]
        )
    if "-m" in words:
        return started_by_tests(words[words.index("-m") + 1])
    return line.strip() in CI


def test_the_readme_offers_what_works() -> None:
    """Each command line of the README is run by continuous integration or by a test."""
    lines = [line for block in commands("(?:sh|bash|console|shell)") for line in block.splitlines()]
    assert [line for line in lines if not proven(line.removeprefix("$ "))] == []
    assert any("make demo" in line for line in lines)
    assert any("make test" in line for line in lines)


def test_ci_runs_the_readmes_test_command_the_checks_and_the_demo() -> None:
    """`.ci/run` builds an environment of its own from the lock, and does not run the tests twice."""
    assert re.findall(r"\bmake ([a-z-]+)", CI) == ["install", "test", "lint", "demo"]
    assert "DEMO_ARGS=--once" in CI
    assert 'rm -rf "$VENV"' in CI
    assert os.access(PROJECT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", ".ci/run"], cwd=PROJECT, check=True, timeout=20)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, even when make runs the tests: an outer make passes its own flags on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VENV"))}
    return subprocess.run(
        ["make", *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize("target", ["demo", "test", "check", "aws", "bench", "lock", "clean", "lint", "install"])
def test_every_target_is_a_plan_that_make_understands(target: str) -> None:
    """`make --dry-run` gets to the end, and what needs an environment makes it from the lock first."""
    dry = make("--dry-run", target, "VENV=.no-such-environment", "DEMO_ARGS=--once")
    assert dry.returncode == 0, dry.stderr
    plan = dry.stdout
    if target not in {"lock", "clean"}:
        install = plan.index("--require-hashes --no-deps -r requirements.lock")
        assert install < plan.index("--no-deps --no-build-isolation -e .")
        assert "-m venv .no-such-environment" in plan
    if target == "demo":
        assert plan.rstrip().endswith("reprise demo --once")


def test_the_environment_follows_the_lock() -> None:
    """A changed lock or pyproject.toml makes the environment anew: both are what its stamp depends on."""
    assert re.search(r"^\$\(INSTALLED\): requirements\.lock pyproject\.toml$", MAKEFILE, re.MULTILINE)


def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """For a `python3` that is too old, make names the version that it needs and how to choose it."""
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 && exit 0\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    done = make("install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "is Python 3.9.1" in done.stderr
    assert "make install PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()
