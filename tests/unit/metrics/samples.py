"""Reports, as short as they can be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from recovery.report import Entry, RecoveryReport, Tally

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def report(*entries: Entry, path: str = "dead_letters", **more: Any) -> RecoveryReport:
    """A report of what happened to these items."""
    tally = Tally()
    tally.add(entries)
    basis: dict[str, Any] = {
        "path": path,
        "run": "test",
        "started": NOW,
        "seconds": 1.5,
        "dry_run": False,
        "found": tally.found,
        "by_kind": dict(tally.by_kind),
        "by_action": dict(tally.by_action),
        "unsettled": tally.unsettled,
        "groups": tally.groups(),
        "requests": {"sqs": 1},
    }
    return RecoveryReport(**(basis | more))


def entry(action: str, kind: str = "TIMEOUT", source: str = "orders-dlq", **more: Any) -> Entry:
    """One item."""
    return Entry(key="k", source=source, action=action, reason="why", kind=kind, group=f"g-{kind}-{action}", **more)
