"""A Prefect server of our own on SQLite: in a home of its own, on 127.0.0.1, ended with the process that started it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from deployments.login import sign_in_link
from deployments.prefect_settings import client_environment, server_environment
from deployments.processes import LOOPBACK, free_port, start_module, stop, wait_until_ready
from recovery.errors import Transient

_ATTEMPTS = 3


@dataclass(frozen=True)
class PrefectServer:
    """A running server.

    Attributes:
        api_url: the value for `PREFECT_API_URL`, as "http://127.0.0.1:4200/api".
        ui_url: the address for a browser.
        home: `PREFECT_HOME` of the server and of its clients.
        log: the file with the server's own output.
        auth: the "user:password" that it wants; empty when it wants none.
    """

    api_url: str
    ui_url: str
    home: Path
    log: Path
    auth: str = ""

    @property
    def sign_in_url(self) -> str:
        """The address that lets a browser in."""
        return sign_in_link(self.ui_url, self.auth) if self.auth else self.ui_url

    @property
    def http_auth(self) -> tuple[str, str] | None:
        """The same for httpx."""
        user, _, password = self.auth.partition(":")
        return (user, password) if self.auth else None

    def client_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment for a worker, the relay or a run that talks to this server."""
        password = {"PREFECT_API_AUTH_STRING": self.auth} if self.auth else {}
        return {**client_environment(self.api_url, self.home, base), "PREFECT_UI_URL": self.ui_url, **password}


@contextlib.contextmanager
def prefect_server(
    home: Path,
    *,
    port: int | None = None,
    auth: str = "",
    ui: bool = True,
    base: Mapping[str, str] | None = None,
    startup_seconds: float = 120,
) -> Iterator[PrefectServer]:
    """Start a server, wait until it answers, and stop it at the end.

    It answers a moment before its triggers listen, so an event of the first second may be lost (5 of 7 starts
    that were watched). A client sends its trigger again, or sweeps.

    Args:
        home: folder of its database, leases and log; created where missing, and kept.
        port: the port to prefer; the next free one is taken when it is busy, and any when None.
        auth: the "user:password" that it wants (`login.draw`); none when empty.
        ui: True serves the browser's pages (their first start copies them, about two seconds).
        base: the variables to start from; this process's own when None.
        startup_seconds: longest time until it answers; a new database takes most of it.

    Raises:
        Transient: it ended, or did not answer in time. The message ends with the last lines of its log.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    environment = server_environment(home, base)
    password = {"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {}
    options = ["--ui" if ui else "--no-ui", *(() if auth else ("--without-password",))]
    for attempt in range(1, _ATTEMPTS + 1):
        chosen = free_port(port)
        address = f"http://{LOOPBACK}:{chosen}"
        process = start_module(
            "deployments.command",
            ["server", "--host", LOOPBACK, "--port", str(chosen), *options],
            environment={**environment, **password, "PREFECT_UI_API_URL": f"{address}/api"},
            log=log,
            directory=home,
        )
        try:
            if wait_until_ready(process, partial(_answers, address), seconds=startup_seconds):
                yield PrefectServer(api_url=f"{address}/api", ui_url=address, home=home, log=log, auth=auth)
                return
            # Somebody may have taken the port in between: another one is worth a try, an unresponsive server is not.
            ended = process.poll() is not None
        finally:
            stop(process)
        if not ended or attempt == _ATTEMPTS:
            what = "ended" if ended else f"did not answer in {startup_seconds:.0f} s"
            raise Transient(f"the Prefect server on {address} {what}; the end of {log}:\n{_last_lines(log)}")


def _answers(address: str) -> bool:
    try:
        # trust_env off: a proxy of this machine's has no business with a loopback address.
        return httpx.get(f"{address}/api/health", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _last_lines(log: Path, count: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
