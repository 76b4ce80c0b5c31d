"""The image and the work pools' templates: what can be known of them without Docker, which the tests do not need."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.templating import find_placeholders
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker
from prefect_aws.workers.ecs_worker import ECSJobConfiguration, ECSWorker

from deployments import container_health
from deployments.container_health import address
from deployments.runtime_lock import direct_dependencies, runtime
from tests.project.checkout import PROJECT, files, text

LOCK = text(Path("requirements.lock"))
DOCKERFILE = text(Path("deployments/Dockerfile"))
INSTRUCTIONS = [
    line.strip() for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line and not line.startswith("#")
]
TEMPLATES = PROJECT / "deployments" / "work_pools"

WORKERS: dict[str, tuple[type[Any], type[BaseJobConfiguration]]] = {
    "process": (ProcessWorker, ProcessJobConfiguration),
    "ecs": (ECSWorker, ECSJobConfiguration),
}


def template(kind: str) -> dict[str, Any]:
    """A work pool's job template."""
    found: dict[str, Any] = json.loads((TEMPLATES / f"{kind}.json").read_text(encoding="utf-8"))
    return found


def without_defaults(of: dict[str, Any]) -> dict[str, Any]:
    """The same, whatever values its variables have."""
    copy = json.loads(json.dumps(of))
    for variable in copy["variables"]["properties"].values():
        variable.pop("default", None)
    return dict(copy)


@pytest.mark.parametrize("kind", WORKERS)
def test_a_job_template_is_prefects_own_with_our_values(kind: str) -> None:
    """Nothing but defaults differs from what the locked version makes, so that a new version is noticed."""
    worker, _ = WORKERS[kind]
    assert without_defaults(template(kind)) == without_defaults(worker.get_default_base_job_template())
    Draft202012Validator.check_schema(template(kind)["variables"])


@pytest.mark.parametrize("kind", WORKERS)
def test_a_run_can_be_configured_from_a_job_template(kind: str) -> None:
    """Every placeholder has a variable, and the worker makes a job of it that starts one interpreter."""
    found = template(kind)
    named = {placeholder.name for placeholder in find_placeholders(found["job_configuration"])}
    assert named <= set(found["variables"]["properties"])
    _, configuration = WORKERS[kind]
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # a client is made, and asks nothing
        made: Any = asyncio.run(configuration.from_template_and_values(found, {}))
    assert made.command == "python -m deployments.flow_run"


def test_the_image_installs_from_the_lock_alone() -> None:
    """Nothing is resolved when the image is built: hashes for everything, and no dependency besides."""
    installs = [line for line in re.split(r"&&|\n", "\n".join(INSTRUCTIONS)) if re.search(r"\bpip install\b", line)]
    assert [line.split("pip install ")[1].strip() for line in installs] == [
        "--require-hashes --no-deps -r /tmp/runtime.lock",
        "--require-hashes --no-deps -r /tmp/build.lock",
        "--no-deps --no-index /tmp/reprise-*.whl",
    ]
    assert not [line for line in INSTRUCTIONS if re.search(r"\bapt|curl|wget|ADD\b", line)]


def test_the_image_holds_what_runs_and_nothing_else() -> None:
    """Its part of the lock is what the installed packages ask for, and no test tool is among it."""
    wanted = closure(direct_dependencies(PROJECT))
    found = [
        Requirement(line.rstrip(" \\"))
        for line in runtime(LOCK, direct_dependencies(PROJECT)).splitlines()
        if "==" in line
    ]
    here = {canonicalize_name(pin.name) for pin in found if pin.marker is None or pin.marker.evaluate()}
    assert wanted <= here
    assert not here & {"moto", "ministack", "mypy", "pytest", "hypothesis", "cfn-lint", "hatchling", "ruff"}
    assert len(here) < 130
    builds = runtime(LOCK, ["hatchling"])
    assert {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", builds, re.MULTILINE)} >= closure(
        ["hatchling"]
    )


def closure(names: list[str]) -> set[str]:
    """Names of installed packages and of all that they ask for on this machine."""
    seen: set[str] = set()
    waiting = [(name, "") for name in names]
    done: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        seen.add(canonicalize_name(name))
        for line in importlib.metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed.name, each) for each in ("", *needed.extras)]
    return seen


def test_the_base_of_the_image_can_be_named_by_digest() -> None:
    """Both stages use the one argument, which a build sets."""
    bases = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM")]
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert [line for line in INSTRUCTIONS if line.startswith("ARG PYTHON_IMAGE=")]


@pytest.mark.parametrize(
    ("command", "variables", "expected"),
    [
        ("python /opt/reprise/bin/reprise worker --with-healthcheck", {}, "http://127.0.0.1:8080/health"),
        ("reprise worker", {"PREFECT_WORKER_WEBSERVER_PORT": "9"}, "http://127.0.0.1:9/health"),
        (
            "python /opt/reprise/bin/reprise relay --health-host 0.0.0.0 --health-port 8081",
            {},
            "http://127.0.0.1:8081/health",
        ),
        ("reprise server --host 0.0.0.0 --port 4300", {}, "http://127.0.0.1:4300/api/health"),
        ("reprise server --host 0.0.0.0", {}, "http://127.0.0.1:4200/api/health"),
        ("python -m deployments.flow_run", {}, ""),
        ("reprise apply --check", {}, ""),
    ],
)
def test_the_health_check_asks_the_process_of_the_container(
    command: str, variables: dict[str, str], expected: str
) -> None:
    """By its command line; what serves no health is well as long as it runs."""
    assert address(command.split(), variables) == expected
    assert f'CMD ["python", "-m", "{container_health.__name__}"]' in DOCKERFILE


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last user is not root, and is a number, which orchestrators can check."""
    (user,) = [line.split()[1] for line in INSTRUCTIONS if line.startswith("USER ")]
    assert int(user) > 0
    assert INSTRUCTIONS.index(f"USER {user}") > max(i for i, line in enumerate(INSTRUCTIONS) if "FROM" in line)


def test_the_image_holds_what_it_needs_and_no_more() -> None:
    """Only the code and its settings are copied: no tests, no history, no database of a person's."""
    patterns = text(Path("deployments/Dockerfile.dockerignore")).splitlines()
    wanted = {line[1:] for line in patterns if line.startswith("!")}
    assert all((PROJECT / name).exists() for name in wanted)
    assert not wanted & {"tests", "docs", ".git", ".venv", ".reprise", ".prefect"}
    top = {
        f.parts[0]
        for f in files()
        if f.suffix in (".toml", ".yaml", ".lock") and len(f.parts) == 1 and f.name[0] != "."
    }
    assert top <= wanted
    assert "**" in patterns
    assert fnmatch("x/__pycache__", "**/__pycache__")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "reprise worker --with-healthcheck"),
        (["worker", "--name", "w"], "reprise worker --with-healthcheck --name w"),
        (["relay", "--config", "c"], "reprise relay --health-host 127.0.0.1 --health-port 8081 --config c"),
        (["server"], "reprise server --host 0.0.0.0"),
        (["apply", "--check"], "reprise apply --check"),
        (["smoke"], "reprise smoke"),
        (["python", "-m", "deployments.flow_run"], "python -m deployments.flow_run"),
    ],
)
def test_the_first_argument_says_what_a_container_runs(arguments: list[str], expected: str, tmp_path: Path) -> None:
    """The entry point hands over to the program, with the rest of the command line."""
    for name in ("reprise", "python"):
        stand_in = tmp_path / name
        stand_in.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        stand_in.chmod(0o755)
    done = subprocess.run(
        [str(PROJECT / "deployments" / "entrypoint.sh"), *arguments],
        env={"PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.strip() == expected
