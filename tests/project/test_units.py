"""The units for systemd and containers start what exists, and leave an orderly stop the time that it needs."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.command import COMMANDS
from deployments.orderly_stop import CANCEL_SECONDS, END_SECONDS, GRACE_SECONDS
from relay.__main__ import _GRACE_SECONDS as RELAY_SECONDS
from tests.project.checkout import PROJECT, text

UNITS = PROJECT / "deployments" / "units"
COMPOSE: dict[str, Any] = yaml.safe_load((UNITS / "compose.yaml").read_text(encoding="utf-8"))
NEEDED = {"server": 0.0, "worker": GRACE_SECONDS + CANCEL_SECONDS + END_SECONDS, "relay": RELAY_SECONDS}
FARGATE_SECONDS = 120


def unit(name: str) -> configparser.SectionProxy:
    """The section of a unit that says how its process lives."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / f"reprise-{name}.service", encoding="utf-8")
    return parser["Service"]


@pytest.mark.parametrize("name", NEEDED)
def test_a_unit_of_systemd_allows_an_orderly_stop(name: str) -> None:
    """Longer than the process needs; SIGTERM to it alone, since its runs have an end of their own."""
    service = unit(name)
    program, command, *_ = shlex.split(service["ExecStart"])
    assert (Path(program).name, command) == ("reprise", name)
    assert command in COMMANDS
    assert float(service["TimeoutStopSec"]) > NEEDED[name]
    assert service.get("KillMode", "") == ("" if name == "server" else "mixed")
    assert service["Restart"] == "always"


@pytest.mark.parametrize("name", NEEDED)
def test_a_container_of_the_example_allows_an_orderly_stop(name: str) -> None:
    """Likewise; nothing but its volumes and /tmp is written."""
    service = COMPOSE["services"][name]
    assert service["command"][0] == name
    assert float(service["stop_grace_period"].rstrip("s")) > NEEDED[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert any(volume.endswith(":/var/lib/reprise") for volume in service["volumes"])


def test_a_worker_on_fargate_has_the_time() -> None:
    """ECS kills a Fargate task two minutes after SIGTERM at most."""
    assert NEEDED["worker"] < FARGATE_SECONDS


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_database_and_a_broker_start_only_when_they_are_asked_for(name: str) -> None:
    """Each is behind a profile of its own name, keeps its data in a volume, and is open to this network alone."""
    service = COMPOSE["services"][name]
    assert service["profiles"] == [name]
    assert service["volumes"][0].split(":")[0] in COMPOSE["volumes"]
    assert "ports" not in service


def test_the_server_takes_the_variables_of_the_page() -> None:
    """Every variable of PostgreSQL and Redis on the operator's page reaches the server, and only where it is set."""
    page = text(Path("docs/operations.md"))
    shared = page[page.index("**PostgreSQL**") : page.index("**Prefect Cloud**")]
    named = set(re.findall(r"(PREFECT_[A-Z_]+)=", shared))
    environment = COMPOSE["services"]["server"]["environment"]
    assert named
    assert {name for name, value in environment.items() if value is None} == named


def test_the_page_names_the_units() -> None:
    """The operator's page leads to each file."""
    page = text(Path("docs/operations.md"))
    for file in UNITS.iterdir():
        assert file.name in page, file.name
