"""The server's front door: requests of other web pages, and requests under a foreign host name, go no further.

A browser on this machine reaches a server on this machine, whatever page it shows. CORS alone does not help: it hides
answers, while a "simple" request (a POST without a content type) is carried out, and a name that an attacker points at
127.0.0.1 (DNS rebinding) makes his page one of ours. So the door looks at three headers that a page cannot forge:

- `Host`: an address, `localhost`, or a name that an operator has listed;
- `Origin`: absent, or the server's own;
- `Sec-Fetch-Site`: another site may link to a page of ours, and do nothing else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from deployments.loopback import is_loopback

ALLOWED_HOSTS = "REPRISE_ALLOWED_HOSTS"
"""Variable that lists the names under which people and workers reach the server, separated by commas."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_FORBIDDEN = 403
_MISDIRECTED = 421
_POLICY_VIOLATION = 1008
_PORTS = {"http": 80, "https": 443}
_TO_PAGES = (
    # Nobody shows our pages inside his own, to have a person click on what he cannot see.
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Admission:
    """Rules for who may come in.

    Attributes:
        hosts: names, in lower case and without a port, besides addresses and `localhost`.
        origins: of other pages that an operator has listed, as "https://portal.example.com".
    """

    hosts: frozenset[str] = field(default=frozenset())
    origins: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, hosts: Iterable[str], origins: Iterable[str]) -> Admission:
        """Made of what people write: blanks and capitals do not count, and no wildcard opens the door."""
        return cls(
            frozenset(name.strip().lower() for name in hosts if name.strip()),
            frozenset(each.strip().lower().rstrip("/") for each in origins if each.strip() not in ("", "*")),
        )

    def refusal(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and text for a request that goes no further; None for one that may pass.

        Args:
            method: of HTTP; "GET" for a web socket.
            headers: with names in lower case.
        """
        host = headers.get("host", "")
        name = _split(f"//{host}").hostname or ""
        if not (_is_address(name) or is_loopback(name) or name in self.hosts):
            return _MISDIRECTED, f"{name or 'a request without a host'} is not a name of this server: {ALLOWED_HOSTS}"
        origin = headers.get("origin")
        if origin is not None:
            ours = origin.lower() in self.origins or _same(origin, host)
            return None if ours else (_FORBIDDEN, "pages of other origins may not use this server")
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return None
        if method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate":
            return None
        return _FORBIDDEN, "pages of other sites may link here, and no more"


class FrontDoor:
    """An ASGI application in front of another one.

    Args:
        app: the application behind the door.
        admission: the rules.
        pages: HTML that is answered at the door, by path.
    """

    def __init__(self, app: App, admission: Admission, pages: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._admission = admission
        self._pages = dict(pages or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application do so."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        for key, value in scope["headers"]:
            name = key.decode("latin-1").lower()
            # Of a header that comes twice, nobody knows which one the next program believes.
            text = value.decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        refused = self._admission.refusal(scope.get("method", "GET"), headers)
        if scope["type"] == "websocket":
            if refused:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refused[1]})
            else:
                await self._app(scope, receive, send)
            return
        page = self._pages.get(scope["path"]) if scope["method"] == "GET" else None
        if refused:
            await _answer(send, refused[0], f"{refused[1]}\n", "text/plain")
        elif page is not None:
            await _answer(send, 200, page, "text/html")
        else:
            await self._app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def sends(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_TO_PAGES]
        await send(message)

    return sends


async def _answer(send: Send, status: int, text: str, kind: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        *_TO_PAGES,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _same(origin: str, host: str) -> bool:
    """True when the origin is that of the host header; names of this machine are one host, as on Prefect's pages."""
    page, ours = _split(origin), _split(f"//{host}")
    if page.scheme not in _PORTS or not page.hostname:
        return False
    if page.netloc.lower() == host.lower():
        return True
    both = is_loopback(page.hostname) and is_loopback(ours.hostname or "")
    return both and _port(page, page.scheme) == _port(ours, page.scheme)


def _split(url: str) -> SplitResult:
    try:
        made = urlsplit(url)
        _ = made.port
    except ValueError:
        return urlsplit("")
    return made


def _port(url: SplitResult, scheme: str) -> int:
    return url.port or _PORTS[scheme]


def _is_address(name: str) -> bool:
    """A page under an address really is of that address: nobody else can answer for it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
