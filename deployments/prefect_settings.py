"""The environment of every Prefect process that the project starts: server, worker, relay, demo.

The values stand in `prefect.toml`, each with its reason. Prefect finds that file only from the checkout's own
directory, and a worker's children run elsewhere, so processes get the same values as environment variables.
Variables named `PREFECT_*` of the calling shell are not passed on: they belong to a person's own server.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recovery.errors import BadInput

PROJECT = Path(__file__).resolve().parent.parent
SETTINGS_FILE = PROJECT / "prefect.toml"
STATE = (PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.home()) / ".reprise"
"""Databases, logs and the demo's files: in the checkout, or in the person's home where the project is installed."""
DEFAULT_HOME = STATE / "prefect"

CLOUD = "prefect.cloud"
"""Addresses of Prefect's own service end so."""
_PASSED_ON = frozenset({"PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL", "PREFECT_DEBUG_MODE"})
"""Settings that a person may still raise for one start. All else in `PREFECT_*` could point at another server."""


def project_settings(file: Path = SETTINGS_FILE) -> dict[str, str]:
    """The settings of `prefect.toml` under the names of their environment variables, without `PREFECT_HOME`.

    Raises:
        BadInput: the file is missing or is not TOML.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{file} is missing: install the project again") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not TOML: {error}") from error
    settings = dict(_flatten(document, "PREFECT"))
    settings.pop("PREFECT_HOME", None)
    return settings


def server_environment(home: Path = DEFAULT_HOME, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a Prefect server whose database lies in `home`.

    Args:
        home: the server's own folder (`PREFECT_HOME`); made absolute, because children change directory.
        base: the variables to start from; the calling process's own when None.
    """
    return {
        **_without_prefect(os.environ if base is None else base),
        **project_settings(),
        "PREFECT_HOME": str(home.resolve()),
        # The sign that other tools, and Prefect's own start, respect before any setting is read.
        "DO_NOT_TRACK": "1",
        # A process of ours never waits for an answer on a terminal.
        "PREFECT_CLI_PROMPT": "false",
    }


def client_environment(
    api_url: str, home: Path = DEFAULT_HOME, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment for a worker, the relay, the demo, and the runs that they start.

    Such a process talks to the server at `api_url`, or fails: it never starts a private server, where its runs and
    events would be lost.

    Args:
        api_url: as "http://127.0.0.1:4200/api".
        home: as in `server_environment`.
        base: as in `server_environment`.

    Raises:
        BadInput: `api_url` is empty.
    """
    if not api_url:
        raise BadInput("PREFECT_API_URL is not set: start `reprise server` and set it to its /api address")
    return {
        **server_environment(home, base),
        "PREFECT_API_URL": api_url,
        # A profile cannot bring the private server back: variables win over profiles.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    }


def require_server(environment: Mapping[str, str] | None = None) -> str:
    """The address of the server that a long-running process of ours must use.

    Call it before Prefect is imported. It reads the variable and nothing else, so that a server never starts because
    of a forgotten one.

    Args:
        environment: the variables to read; the calling process's own when None, in which case the private server is
            also forbidden to this process.

    Raises:
        BadInput: `PREFECT_API_URL` is not set, or names Prefect Cloud.
    """
    variables = os.environ if environment is None else environment
    api_url = variables.get("PREFECT_API_URL", "")
    if not api_url:
        raise BadInput(
            "PREFECT_API_URL is not set. This process does not start a private Prefect server, because nobody would "
            "see its runs: set the variable to the /api address of yours, as http://127.0.0.1:4200/api"
        )
    host = urlsplit(api_url).hostname or ""
    if host == CLOUD or host.endswith(f".{CLOUD}"):
        raise BadInput(
            f"PREFECT_API_URL names Prefect Cloud ({host}), which is not supported: Reprise needs settings of "
            "the server itself. Start `reprise server`, or a Prefect server of your own"
        )
    if environment is None:
        os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"
    return api_url


def _without_prefect(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith("PREFECT_") or name in _PASSED_ON}


def _flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}_{key.upper()}"
        if isinstance(value, dict):
            yield from _flatten(value, name)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
