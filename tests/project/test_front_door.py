"""The server's front door: who may come in, by the headers that a web page cannot forge."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from deployments.front_door import Admission, FrontDoor, Receive, Scope, Send

DOOR = Admission.of([" Reprise.Example.com ", ""], ["https://portal.example.com/", "*", ""])
HERE = {"host": "127.0.0.1:4200"}
PAGE = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:4200"}


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {"host": "localhost:4200"},
        {"host": "[::1]:4200"},
        {"host": "10.1.2.3"},
        {"host": "reprise.example.com"},
        {"host": "REPRISE.example.com:443"},
        {**HERE, **PAGE},
        {**HERE, "origin": "http://localhost:4200", "sec-fetch-site": "cross-site"},
        {"host": "localhost:4200", "origin": "http://[::1]:4200"},
        {"host": "reprise.example.com", "origin": "https://reprise.example.com"},
        {**HERE, "origin": "https://portal.example.com", "sec-fetch-site": "cross-site"},
        {**HERE, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_programs_our_own_pages_and_links_come_in(headers: dict[str, str]) -> None:
    """Workers send neither origin nor site; a person follows a link out of a mail."""
    assert DOOR.refusal("GET", headers) is None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 421),
        ("GET", {"host": ""}, 421),
        ("GET", {"host": "evil.example:4200"}, 421),
        ("GET", {"host": "evil.example:4200", "origin": "http://evil.example:4200"}, 421),
        ("GET", {"host": "127.0.0.1.evil.example"}, 421),
        ("GET", {"host": "evil.example, 127.0.0.1:4200"}, 421),
        ("GET", {"host": "127.0.0.1:4200@evil.example"}, 421),
        ("GET", {"host": "127.0.0.1:many"}, 421),
        ("GET", {"host": "[::1"}, 421),
        ("GET", {"host": "evilreprise.example.com"}, 421),
        ("POST", {**HERE, "origin": "https://evil.example"}, 403),
        ("GET", {**HERE, "origin": "https://evil.example"}, 403),
        ("POST", {**HERE, "origin": "null"}, 403),
        ("POST", {**HERE, "origin": ""}, 403),
        ("POST", {**HERE, "origin": "http://127.0.0.1:8080"}, 403),
        ("POST", {**HERE, "origin": "http://127.0.0.1"}, 403),
        ("POST", {**HERE, "origin": "file://127.0.0.1:4200"}, 403),
        ("POST", {**HERE, "origin": "http://127.0.0.1:4200.evil.example"}, 403),
        ("POST", {**HERE, "origin": "https://evil.example, http://127.0.0.1:4200"}, 403),
        ("POST", {"host": "reprise.example.com", "origin": "http://reprise.example.com:81"}, 403),
        ("GET", {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {**HERE, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
        ("POST", {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
    ],
)
def test_everybody_else_stays_outside(method: str, headers: dict[str, str], status: int) -> None:
    """A foreign name is misdirected, whatever else stands there; another page is forbidden."""
    refused = DOOR.refusal(method, headers)
    assert refused is not None
    assert refused[0] == status


def played(scope: Scope) -> tuple[list[MutableMapping[str, Any]], bool]:
    """Messages that the door, or what is behind it, sends; and whether anything came through."""
    sent: list[MutableMapping[str, Any]] = []
    came = False

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal came
        came = True
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the door reads no body")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(FrontDoor(app, DOOR, {"/sign-in": "<p>in"})(scope, receive, send))
    return sent, came


def test_a_refused_request_names_the_setting() -> None:
    """One line, which names the variable that lists names."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"Host", b"prefect:4200")]}
    (start, body), came = played(scope)
    assert start["status"] == 421
    assert b"REPRISE_ALLOWED_HOSTS" in body["body"]
    assert not came


def test_a_header_that_comes_twice_is_refused() -> None:
    """The next program may believe the other one."""
    headers = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    (start, _), came = played({"type": "http", "method": "GET", "path": "/", "headers": headers})
    assert (start["status"], came) == (421, False)


def test_a_web_socket_of_another_page_is_closed_before_it_opens() -> None:
    """CORS says nothing of web sockets."""
    headers = [(b"host", b"127.0.0.1:4200"), (b"origin", b"https://evil.example")]
    (closed,), came = played({"type": "websocket", "path": "/api/events/in", "headers": headers})
    assert (closed["type"], came) == ("websocket.close", False)
    assert played({"type": "websocket", "path": "/api/events/in", "headers": headers[:1]})[1]


def test_nobody_shows_our_pages_in_his_own() -> None:
    """Each answer says so, and keeps its own headers."""
    headers = [(b"host", b"127.0.0.1:4200")]
    ((start,), came) = played({"type": "http", "method": "GET", "path": "/v2/runs", "headers": headers})
    assert came
    assert {(b"x-own", b"1"), (b"content-security-policy", b"frame-ancestors 'self'")} <= set(start["headers"])
    (start, body), came = played({"type": "http", "method": "GET", "path": "/sign-in", "headers": headers})
    assert (start["status"], body["body"], came) == (200, b"<p>in", False)
    assert played({"type": "lifespan"})[1]
