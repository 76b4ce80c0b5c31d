"""AWS at a loopback address: the one place where the programs of an estate use fixed keys instead of a person's."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

ENDPOINT = "AWS_ENDPOINT_URL"

KEY = "test"
"""Access key and secret that every local AWS accepts, and nobody else."""

REGION = "us-east-1"
"""The region that goes with them."""


def on_this_machine(url: str) -> bool:
    """True when the URL's host is a loopback address or `localhost`, so that nobody has to look it up."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """True for a loopback address, and for `localhost` or a name below it (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
