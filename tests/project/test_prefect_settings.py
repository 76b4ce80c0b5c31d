"""Prefect's settings are the project's own, and reach every process that it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings

from deployments.prefect_settings import (
    SETTINGS_FILE,
    client_environment,
    project_settings,
    require_server,
    server_environment,
)
from deployments.processes import COMMAND
from recovery.errors import BadInput
from tests.project.checkout import PROJECT

API = "http://127.0.0.1:4200/api"


def _values(table: dict[str, Any], *path: str) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in table.items():
        found += _values(value, *path, key) if isinstance(value, dict) else [((*path, key), value)]
    return found


def _effective(environment: dict[str, str], directory: Path) -> dict[str, Any]:
    """The settings that Prefect arrives at in a process of its own."""
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            "import prefect.settings as s; print(s.get_current_settings().model_dump_json())",
        ],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    settings: dict[str, Any] = json.loads(answer.stdout)
    return settings


def _look_up(settings: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = settings
    for key in path:
        found = found[key]
    # A set comes out of JSON in any order.
    return sorted(found) if isinstance(found, list) else found


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """A person's environment that points Prefect elsewhere in every way that variables can."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PREFECT_API_URL": "https://prefect.invalid/api",
        "PREFECT_API_KEY": "pnu_personal",
        "PREFECT_PROFILE": "work",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "true",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://prefect.invalid/x",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }


def test_every_key_is_a_setting_of_prefect() -> None:
    """Prefect ignores a misspelt key without a word, so each key is looked up in its model."""
    for path, _ in _values(tomllib.loads(SETTINGS_FILE.read_text(encoding="utf-8"))):
        model: Any = Settings
        for key in path:
            assert key in model.model_fields, f"prefect.toml: {'.'.join(path)}"
            model = model.model_fields[key].annotation


def test_processes_get_what_the_file_says(outside: dict[str, str], tmp_path: Path) -> None:
    """A process that starts outside the checkout arrives at the values that one inside it reads from the file."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    inside = _effective(plain, PROJECT)
    child = _effective(server_environment(tmp_path / "home", outside), tmp_path)
    for path, _ in _values(tomllib.loads(SETTINGS_FILE.read_text(encoding="utf-8"))):
        if path != ("home",):
            assert _look_up(child, path) == _look_up(inside, path), path
    assert inside["server"]["analytics_enabled"] is False
    assert child["server"]["concurrency"]["lease_storage"].endswith(".filesystem")


def test_a_server_of_ours_keeps_to_its_home(outside: dict[str, str], tmp_path: Path) -> None:
    """Database, results and leases lie in the home that was given, and a person's variables change nothing."""
    home = tmp_path / "home"
    environment = server_environment(home, outside)
    settings = _effective(environment, tmp_path)
    assert settings["home"] == str(home)
    assert settings["results"]["local_storage_path"].startswith(str(home))
    assert settings["api"]["url"] is None
    assert settings["api"]["key"] is None
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in environment
    assert environment["DO_NOT_TRACK"] == "1"
    assert settings["logging"]["level"] == "DEBUG", "a person may ask for more log lines"
    assert not (tmp_path / ".prefect").exists(), "~/.prefect was touched"


def test_clients_refuse_a_private_server(outside: dict[str, str], tmp_path: Path) -> None:
    """A worker, the relay and the demo talk to the server they were given, and never start one of their own."""
    settings = _effective(client_environment(API, tmp_path / "home", outside), tmp_path)
    assert settings["api"]["url"] == API
    assert settings["server"]["ephemeral"]["enabled"] is False
    with pytest.raises(BadInput, match="PREFECT_API_URL"):
        client_environment("", tmp_path)


def test_an_ad_hoc_run_may_have_a_private_server(tmp_path: Path) -> None:
    """In the checkout, with nothing set, a flow run from Python starts a server whose database is the project's."""
    settings = _effective({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, PROJECT)
    assert settings["server"]["ephemeral"]["enabled"] is True
    assert settings["home"] == ".prefect"
    assert not (tmp_path / ".prefect").exists(), "~/.prefect was touched"


def test_a_process_without_a_server_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`require_server` names the variable, and with one it shuts the private server out of this process."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(BadInput, match="PREFECT_API_URL is not set"):
        require_server()
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_ENABLED", "true")
    monkeypatch.setenv("PREFECT_API_URL", API)
    assert require_server() == API
    assert os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"


@pytest.mark.parametrize("host", ["api.prefect.cloud", "prefect.cloud"])
def test_prefect_cloud_is_refused_in_one_line(host: str) -> None:
    """Reprise depends on settings of the server itself, so nobody finds that out halfway."""
    with pytest.raises(BadInput, match="Prefect Cloud"):
        require_server({"PREFECT_API_URL": f"https://{host}/api/accounts/a/workspaces/w"})
    assert require_server({"PREFECT_API_URL": "https://prefect.cloudy.example/api"})


@pytest.mark.parametrize("profile", [False, True], ids=["variable", "profile"])
def test_a_worker_refuses_prefect_cloud_before_it_asks_anybody(
    outside: dict[str, str], tmp_path: Path, profile: bool
) -> None:
    """In one line, also where `prefect cloud login` has left the address in a profile."""
    cloud = "https://api.prefect.cloud/api/accounts/a/workspaces/w"
    environment = {**outside, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE"):
        environment.pop(name, None)
    if profile:
        (tmp_path / "profiles.toml").write_text(f'active = "it"\n[profiles.it]\nPREFECT_API_URL = "{cloud}"\n')
    else:
        environment["PREFECT_API_URL"] = cloud
    ended = subprocess.run(
        [sys.executable, "-m", COMMAND, "worker"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("reprise worker: PREFECT_API_URL names Prefect Cloud")
    assert "Traceback" not in ended.stderr


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """A missing or unreadable settings file is a mistake that names the file."""
    with pytest.raises(BadInput, match=r"prefect\.toml is missing"):
        project_settings(tmp_path / "prefect.toml")
    (tmp_path / "prefect.toml").write_text("home =", encoding="utf-8")
    with pytest.raises(BadInput, match=r"prefect\.toml is not TOML"):
        project_settings(tmp_path / "prefect.toml")


def test_a_run_that_waits_for_its_turn_is_taken_up_once_for_each_wait(outside: dict[str, str], tmp_path: Path) -> None:
    """A worker that looked further ahead than a run waits would take it at every look, and write a state each time."""
    settings = _effective(server_environment(tmp_path / "home", outside), tmp_path)
    wait = settings["server"]["deployments"]["concurrency_slot_wait_seconds"]
    worker = settings["worker"]
    assert worker["prefetch_seconds"] + worker["query_seconds"] < wait / 2
