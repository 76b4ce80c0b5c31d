"""The services that take messages back to targets other than queues, each with its client made on first use."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

from recovery.dead_letters.endpoints import Endpoints
from recovery.dead_letters.functions import Functions
from recovery.dead_letters.routes import Routes
from recovery.dead_letters.services import Services


class MakesClients(Protocol):
    """Returns the client of a service; with `repeat=False` the SDK repeats nothing."""

    def __call__(self, service: str, *, repeat: bool = True) -> Any: ...


class Callers:
    """Gateways of own targets. Most runs need none of them, and a client costs a tenth of a second of processor time.

    Args:
        client: the connection's own.
    """

    def __init__(self, client: MakesClients) -> None:
        self._client = client

    @cached_property
    def functions(self) -> Functions:
        """Lambda."""
        return Functions(self._client("lambda"), self._client("lambda", repeat=False))

    @cached_property
    def routes(self) -> Routes:
        """Subscriptions and rules."""
        return Routes(self._client("sns"), self._client("events"))

    @cached_property
    def endpoints(self) -> Endpoints:
        """Endpoints of subscriptions over HTTP."""
        return Endpoints(self.routes)

    @cached_property
    def services(self) -> Services:
        """SNS, Step Functions and EventBridge as targets."""
        return Services(
            self._client("sns", repeat=False),
            self._client("stepfunctions", repeat=False),
            self._client("events", repeat=False),
        )
