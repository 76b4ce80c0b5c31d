"""`reprise relay` shows what is missing or wrong, and ends, before it loads Prefect."""

from __future__ import annotations

import signal
import socket
import threading

import httpx
import pytest

from deployments.command import run
from recovery.errors import BadInput
from relay import __main__ as command
from relay.counts import Counts

GOOD = {
    "PREFECT_API_URL": "http://127.0.0.1:9/api",
    "REPRISE_EVENTS_QUEUE_URL": "http://127.0.0.1:9/0/events",
    "REPRISE_EVENTS_PARKED_QUEUE_URL": "http://127.0.0.1:9/0/parked",
}


def stated(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    **changed: str | None,
) -> tuple[int, str]:
    """Exit code and standard error of the command."""
    for name, value in {**GOOD, **changed}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    code = run(["relay", *arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"PREFECT_API_URL": None}, "PREFECT_API_URL is not set"),
        ({"PREFECT_API_URL": "localhost:4200/api"}, "PREFECT_API_URL: expected an address"),
        ({"REPRISE_EVENTS_QUEUE_URL": None}, "REPRISE_EVENTS_QUEUE_URL is not set"),
        ({"REPRISE_EVENTS_QUEUE_URL": "events"}, "REPRISE_EVENTS_QUEUE_URL: expected an address"),
        ({"REPRISE_EVENTS_PARKED_QUEUE_URL": None}, "REPRISE_EVENTS_PARKED_QUEUE_URL is not set"),
        ({"PREFECT_API_AUTH_STRING": "secret"}, "PREFECT_API_AUTH_STRING: expected user:password"),
        ({"REPRISE_LOG_LEVEL": "LOUD"}, "REPRISE_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: dict[str, str | None], words: str
) -> None:
    """Exit code 2, one line, no traceback, and no secret."""
    code, error = stated(monkeypatch, capsys, **changed)
    assert code == 2
    assert words in error
    assert error.count("\n") == 1
    assert "secret" not in error


def test_a_wrong_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for the file of --config."""
    code, error = stated(monkeypatch, capsys, "--config", "nowhere.yaml")
    assert (code, error) == (2, "relay: configuration nowhere.yaml: No such file or directory\n")


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else listens where health should be."""
    from relay import health

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"--health-port {port} on 127.0.0.1: .*in use"):
            health.serve(None, "127.0.0.1", port)  # type: ignore[arg-type]


class Stop(threading.Event):
    """Waits are over at once; stops after a few."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waits -= 1
        if self.waits == 0:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("error", [httpx.ConnectError("down"), RuntimeError("Failed to reach API")])
def test_a_server_that_is_away_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The relay starts beside its server, in any order; asked to stop meanwhile, it stops."""

    def connect() -> None:
        raise error

    monkeypatch.setattr("blocks.estate.connect", connect)
    stop, counts = Stop(3), Counts()
    assert command._connected(stop, counts) is None
    assert stop.waits == 0
    assert (counts.away, counts.problem.startswith("not connected yet: ")) == (3, True)


def test_a_server_that_never_answers_does_not_keep_the_relay_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to stop while it waits for an answer, it stops."""
    hung, stop = threading.Event(), threading.Event()

    def connect() -> None:
        stop.set()  # SIGTERM comes while the answer does not
        hung.wait(60)

    monkeypatch.setattr("blocks.estate.connect", connect)
    assert command._connected(stop, Counts()) is None
    hung.set()


def test_health_is_served_before_the_first_connection() -> None:
    """A liveness probe that was refused would restart a relay that waits for its server, for ever."""
    from relay import health

    starting = health.Starting(Counts(problem="not connected yet: ConnectError"))
    server = health.serve(lambda: starting, "127.0.0.1", 0)
    try:
        answer = httpx.get(f"http://127.0.0.1:{server.server_port}/health", trust_env=False)
        assert (answer.status_code, answer.json()["problem"]) == (200, "not connected yet: ConnectError")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_does_not_let_the_relay_in_is_reported(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Waiting would not help: the message names the settings."""

    def connect() -> None:
        answer = httpx.Response(status, request=httpx.Request("GET", "http://127.0.0.1/"))
        answer.raise_for_status()

    monkeypatch.setattr("blocks.estate.connect", connect)
    with pytest.raises(BadInput, match=f"answered {status}.*PREFECT_API_AUTH_STRING"):
        command._connected(Stop(3), Counts())
