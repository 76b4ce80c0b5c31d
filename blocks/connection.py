"""One run's connection to AWS: its clients, its request counter, its clock, its ledger, archive and alerts.

This is the only place where boto3 clients are made. All of them are watched by the same counter and clock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

import boto3

from blocks.credentials import config_for
from recovery.alerts import Alerts
from recovery.archive import Archive
from recovery.aws import HELPER_TIMEOUT, HELPERS, UNCHECKED, Requests, ServerClock, calling, client_config
from recovery.errors import RepriseError
from recovery.ledger import Ledger
from recovery.metrics.gateway import MetricsGateway
from recovery.metrics.publication import Metrics
from recovery.run import Tools
from recovery.stopping import is_asked_to_stop


@dataclass
class Connection:
    """Made once for a run by `RecoveryEstate.connect`; safe to share between threads.

    Attributes:
        session: a boto3 session; credentials renew themselves where botocore can.
        client_settings: keyword arguments for every client (endpoint, configuration), from the credentials block.
        ledger_table, archive_bucket, alert_topic_arn, metrics_namespace: see the block.
        archive_days: how long the archive keeps an item, in days.
        owner: names this run in claims and leases.
    """

    session: boto3.Session
    ledger_table: str
    archive_bucket: str
    alert_topic_arn: str
    metrics_namespace: str = ""
    archive_days: int = 400
    client_settings: dict[str, Any] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: uuid4().hex)
    requests: Requests = field(default_factory=Requests)
    clock: ServerClock = field(default_factory=ServerClock)
    _clients: dict[tuple[str, bool], Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def client(self, service: str, *, repeat: bool = True) -> Any:
        """The client of a service, made on first use.

        Args:
            service: boto3's name of the service.
            repeat: False for a client whose sends the SDK must not repeat unseen.
        """
        with self._lock:  # making a client is not thread-safe in boto3; using one is
            key = (service, repeat)
            if key not in self._clients:
                settings = {
                    **self.client_settings,
                    "config": config_for(
                        self.client_settings,
                        client_config(repeat=repeat, check=service not in UNCHECKED, **_patience(service)),
                    ),
                }
                make: Any = self.session.client  # its type names every service there is
                client = make(service, **settings)
                self.requests.watch(client)
                self.clock.watch(client)
                self._clients[key] = client
            return self._clients[key]

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.client("dynamodb"), self.ledger_table)

    @cached_property
    def archive(self) -> Archive:
        """The archive."""
        return Archive(self.client("s3"), self.archive_bucket)

    @cached_property
    def alerts(self) -> Alerts:
        """The alerts; publishes are never repeated by the SDK."""
        return Alerts(self.client("sns", repeat=False), self.alert_topic_arn, self.ledger, self.owner)

    @cached_property
    def metrics(self) -> Metrics | None:
        """Publisher of a run's numbers; None when no namespace is set."""
        if not self.metrics_namespace:
            return None
        return Metrics(
            MetricsGateway(self.client("cloudwatch", repeat=False), self.metrics_namespace),
            self.ledger,
        )

    def identity(self) -> str:
        """Return the ARN under which the calls are made, or "" where AWS does not say; it needs no permission."""
        try:
            with calling("sts:GetCallerIdentity"):
                return str(self.client("sts").get_caller_identity().get("Arn", ""))
        except RepriseError:
            return ""

    def tools(self) -> Tools:
        """The tools that every run needs."""
        return {
            "ledger": self.ledger,
            "archive": self.archive,
            "alerts": self.alerts,
            "now": self.clock.now,
            "requests": self.requests.by_service,
            "owner": self.owner,
            "metrics": self.metrics,
            "is_asked_to_stop": is_asked_to_stop,
        }


def _patience(service: str) -> dict[str, Any]:
    """Settings of a client whose service may hang without holding up the work."""
    return {"read_timeout": HELPER_TIMEOUT, "attempts": 2} if service in HELPERS else {}
