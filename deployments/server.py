"""`reprise server`: Prefect's server behind a front door.

Pages of other origins and requests under a foreign host name are refused (`front_door`). Beyond loopback it listens
only with a password (`PREFECT_SERVER_API_AUTH_STRING`). On loopback it draws one when none is set, prints the link that
lets a browser in, and `reprise login` lets a shell in.

Its garbage is collected in a thread of its own. On SQLite a stock server stands still for a minute now and then. Seen
with its collector watched: a collection ran in the thread of the event loop, met an old cursor, and waited for the
cursor's connection; that connection was waiting inside SQLite for the lock of a transaction; and that transaction could
not go on, because its next statement was to come from the event loop. SQLite gives up after the 60 s that Prefect sets.
Here collections run in a thread of their own, which may wait as long as it likes (docs/decisions/0005).

Everything else is `prefect server start`, but for `--background` and several `--workers`: those start processes that
have neither.
"""

from __future__ import annotations

import argparse
import gc
import runpy
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from deployments.front_door import ALLOWED_HOSTS, Admission, FrontDoor
from deployments.login import PAGE, SIGN_IN, Login, draw, keep, kept
from deployments.loopback import is_loopback
from recovery.errors import BadInput
from recovery.settings import read

EVERY = 1.0
"""Seconds between collections of what is young."""
ALL_EVERY = 60
"""Collections of what is young between two of everything."""
LOADED = 30
"""Collections after which the server has loaded what it keeps: that is not looked through again."""


def collect_apart(every: float = EVERY) -> Callable[[], None]:
    """Collect garbage in a thread of its own from now on; returns what ends that.

    Args:
        every: seconds between collections.
    """
    gc.disable()
    over = threading.Event()

    def collect() -> None:
        done = 0
        while not over.wait(every):
            done += 1
            gc.collect(2 if done % ALL_EVERY == 0 else 1)
            if done == LOADED:
                gc.freeze()

    thread = threading.Thread(target=collect, name="collect-garbage", daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()
        gc.unfreeze()
        gc.enable()

    return end


def main(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Start the Prefect server, and return when it has ended.

    Args:
        options: options of `prefect server start`, and --without-password (on 127.0.0.1 only).

    Raises:
        BadInput: so the server would be open to others.
    """
    parser = argparse.ArgumentParser(prog="reprise server", add_help=False, allow_abbrev=False)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--background", "-b", action="store_true")
    parser.add_argument("--without-password", action="store_true")
    known, rest = parser.parse_known_args(options)
    collect_apart()
    begin(known, rest)


def begin(options: argparse.Namespace, rest: Sequence[str]) -> None:
    """Put the door in front of Prefect's application, and run `prefect server start`.

    Args:
        options: those of this command.
        rest: options for Prefect.

    Raises:
        BadInput: so the server would be open to others.
    """
    if options.background or options.workers > 1:
        raise BadInput("--background and several --workers start Prefect's processes without the front door: use none")
    import prefect.server.api.server as prefect_server
    from prefect.settings import (
        PREFECT_SERVER_API_AUTH_STRING,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
        PREFECT_UI_API_URL,
        get_current_settings,
        temporary_settings,
    )

    settings = get_current_settings()
    host = options.host or settings.server.api.host
    port = options.port or settings.server.api.port
    secret = settings.server.api.auth_string
    auth = secret.get_secret_value() if secret else ""
    if not auth:
        if not is_loopback(host):
            raise BadInput(
                f"--host {host}: beyond this machine the server listens only with a password: "
                "set PREFECT_SERVER_API_AUTH_STRING to user:password"
            )
        if not options.without_password:
            auth = _own_password(settings.home, _address(host, port))
    listed = set(settings.server.api.cors_allowed_origins.split(",")) - {"*"}
    named = {urlsplit(url).hostname or "" for url in (settings.server.ui.api_url, settings.ui_url) if url}
    admission = Admission.of({host, *named, *read(ALLOWED_HOSTS).split(",")}, listed)
    make = prefect_server.create_app

    def create_app(*args: Any, **kwargs: Any) -> Any:
        app = make(*args, **kwargs)
        # Only the application that listens is "final". Prefect's services use another one inside their own process.
        return FrontDoor(app, admission, {SIGN_IN: PAGE}) if kwargs.get("final") else app

    prefect_server.create_app = create_app
    changed: dict[Any, Any] = {PREFECT_SERVER_CORS_ALLOWED_ORIGINS: ",".join(sorted(_own_origins(host, port) | listed))}
    if auth:
        changed[PREFECT_SERVER_API_AUTH_STRING] = auth
    if "api_url" not in settings.server.ui.model_fields_set and not settings.api.url:
        changed[PREFECT_UI_API_URL] = f"{_address(host, port)}/api"
    sys.argv = ["prefect", "server", "start", "--host", host, "--port", str(port), *rest]
    with temporary_settings(changed):
        runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _own_password(home: Path, address: str) -> str:
    """The password of the last start here, or a new one; says how a person gets in."""
    before = kept(home)
    login = Login(f"{address}/api", before.auth if before else draw())
    keep(home, login)
    print(f'in a browser:  {login.link}\nin a shell:    eval "$(reprise login)"', flush=True)
    return login.auth


def _own_origins(host: str, port: int) -> set[str]:
    """The origins of the server's own pages when it is reached directly."""
    return {_address(name, port) for name in ("127.0.0.1", "localhost", host)}


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
