"""Things that are alike each time and take long to make, made once for a process of tests.

Only what nobody changes is shared: sessions, clients and their events, topics and queues stay apart.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.loaders import Loader

_read: dict[Any, Any] = {}


@cache
def read_service_models() -> None:
    """Let all loaders that have the default folders remember together what they read.

    Each session of boto3 reads the JSON of the services that it makes clients of, which takes longer than most of our
    runs, and nearly each test has sessions of its own.
    """
    make = Loader.__init__

    def made(self: Any, extra_search_paths: list[str] | None = None, *args: Any, **kwargs: Any) -> None:
        make(self, extra_search_paths, *args, **kwargs)
        if not extra_search_paths and not args and not kwargs:
            self._cache = _read

    setattr(Loader, "__init__", made)  # noqa: B010 - mypy refuses the assignment


@cache
def make_signing_key() -> None:
    """Let all subscriptions in moto have one RSA key: each takes 60 ms to make its own, which no test checks."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from moto.sns.models import Subscription

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    setattr(Subscription, "private_key", lambda _: key)  # noqa: B010 - mypy refuses the assignment


@cache
def moto_client(service: str) -> Any:
    """The client of a service that moto answers inside `mock_aws`; whoever registers handlers on it takes them off."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(service)  # type: ignore[call-overload]
