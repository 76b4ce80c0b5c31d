"""The SDK's descriptions of services, read once for a process of tests instead of once for a session of boto3.

A session reads the JSON of each service that it makes a client of, which takes longer than most of our runs, and nearly
each test has sessions of its own. Only the data is shared: sessions, clients and their events stay apart.
"""

from __future__ import annotations

from typing import Any

from botocore.loaders import Loader

_read: dict[Any, Any] = {}


def share() -> None:
    """Let all loaders of this process that have the default folders remember together what they read."""
    make = Loader.__init__
    if getattr(make, "shares_models", False):
        return

    def made(self: Loader, extra_search_paths: list[str] | None = None, *args: Any, **kwargs: Any) -> None:
        make(self, extra_search_paths, *args, **kwargs)
        if not extra_search_paths and not args and not kwargs:
            self._cache = _read

    made.shares_models = True  # type: ignore[attr-defined]
    Loader.__init__ = made
