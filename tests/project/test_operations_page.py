"""docs/operations.md is what an operator types: each of its commands exists, and takes what the page gives it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from prefect.cli._app import _app

from deployments.apply import automations, pool
from deployments.command import COMMANDS, application, run
from simulated_aws.estate import load
from simulated_aws.server import SimulatedAws
from tests.project.checkout import PROJECT, text
from tests.project.test_commands import started_by_tests, targets

PAGE = text(Path("docs/operations.md"))
OTHERS = {"export", "eval", "git", "docker", "aws"}


def _lines() -> Iterator[str]:
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip())


LINES = list(dict.fromkeys(_lines()))
SPOKEN = sorted(set(re.findall(r"`((?:prefect|reprise|python -m) [^`<]+)`", PAGE)))


def module_exists(words: list[str]) -> None:
    """A `python -m` command names a module that a test runs, with options that the module knows."""
    module = words[words.index("-m") + 1]
    place = PROJECT / Path(*module.split("."))
    source = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__main__.py"
    known = source.read_text(encoding="utf-8")
    assert all(word in known for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", [*LINES, *SPOKEN])
def test_a_command_exists_and_takes_its_arguments(line: str) -> None:
    """A mistyped option or a renamed command is found here, and not at three in the morning."""
    inner = re.fullmatch(r'eval "\$\((.*)\)"', line)
    words = shlex.split(inner[1] if inner else line)
    match words[0]:
        case "make":
            assert words[1] in targets()
            assert all(word.split("=")[0] in text(Path("Makefile")) for word in words[2:])
        case "reprise" if words[1:2] == ["server"]:
            _app.parse_args(["server", "start", *words[2:]], exit_on_error=False, print_error=False)
        case "reprise":
            application().parse_args([word for word in words[1:] if word != "&"])
        case "python":
            module_exists(words)
        case "prefect":
            # `docs` speak of a run as <id>; the parser only counts.
            _app.parse_args(words[1:], exit_on_error=False, print_error=False)
        case "aws":
            for template in re.findall(r"--template-file (\S+)", line):
                parameters = load(PROJECT / template)["Parameters"]
                given = line.partition("--parameter-overrides")[2].split()
                assert given
                assert {each.split("=")[0] for each in given} <= set(parameters)
        case "docker":
            for file in re.findall(r"-f (\S+)", line):
                assert (PROJECT / file).is_file()
        case other:
            assert other in OTHERS


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names each option with a sentence, and touches nothing."""
    assert run([name, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"Usage: reprise {name}" in output
    options = re.findall(r"^\W*(--[a-z-]+).*$", output, re.MULTILINE)
    assert all(re.search(rf"{option}\b.* [a-z]{{2,}}", output) for option in options)


@pytest.mark.parametrize(
    "words", ["", "no-such", "apply --chek", "relay --health-port x", "variables", "demo --once 3"]
)
def test_a_mistyped_line_is_one_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong word costs the person one sentence that names it, and never a traceback."""
    status = run(words.split())
    output = capsys.readouterr()
    assert (status, len(output.err.splitlines())) == ((2, 1) if words else (0, 0))
    assert words.split()[-1] in output.err if words else "apply" in output.out


def test_the_command_is_installed() -> None:
    """`reprise` stands beside the interpreter and knows its version."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("reprise")), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == version("reprise")


def test_the_variables_of_a_stack_are_those_of_the_simulated_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines for a shell set the variables that `reprise apply` reads; a missing stack is one line."""
    with SimulatedAws.start() as aws:
        aws.create_estate()
        for name, value in aws.environ({}).items():
            if not name.startswith("REPRISE_"):
                monkeypatch.setenv(name, value)
        assert run(["variables", "reprise"]) == 0
        shell = capsys.readouterr().out + "env | grep ^REPRISE_"
        output = subprocess.run(["sh", "-c", shell], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True)
        wanted = {name: value for name, value in aws.environment.items() if name.startswith("REPRISE_")}
        assert dict(line.split("=", 1) for line in output.stdout.decode().splitlines()) == wanted
        assert run(["variables", "no-such-stack"]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_the_page_says_of_limits_and_names_is_the_code_s() -> None:
    """The pool, its limit, the worker's and the times of the automations."""
    made: dict[str, Any] = {each.name: each for each in automations.wanted({"x"}, "0" * 32, [])}
    assert f"The pool starts {'eight'} runs" in " ".join(PAGE.split())
    assert pool.LIMIT == 8
    assert automations.QUIET_SECONDS == 600
    assert automations.SWEEP_SECONDS == 1800
    assert 3 * automations.HEARTBEAT_SECONDS == 9 * 60
    assert len(made) == 4
    assert started_by_tests("smoke")
