"""The last act of the demo: a person ends what can never succeed, on every path, and nothing waits any more."""

from __future__ import annotations

import json
from typing import Any, Final

from demo.outbox_scene import TABLE
from demo.scenes import DemoFailed, World

CLOSE: Final = "cases/close"
WAITING: Final = frozenset({"parked", "archived", "exhausted", "waiting", "stale", "escalated", "replaying"})
"""States of cases in which they stay until a person acts."""


def dismiss_the_rest(world: World) -> None:
    """Dismiss all that still waits for a person.

    Raises:
        DemoFailed: the run failed.
        Stopped: the demo is being ended.
    """
    ending: dict[str, Any] = {"sources": ["*"], "outbox_tables": [TABLE], "how": "dismiss", "dry_run": False}
    run = world.run(CLOSE, {**ending, "operator": "ann", "reason": "refunded by hand"})
    if not run.completed:
        raise DemoFailed(f"{run.deployment} ended as {run.state}: {run.message} ({run.url})")
    world.say(f"{CLOSE}: {run.name}")


def differences(world: World) -> list[str]:
    """Return the cases that still wait for a person, by the ledger's table itself."""
    table = world.aws.environment["REPRISE_LEDGER_TABLE"]
    pages = world.aws.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found = []
    for item in (item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("case#")):
        data = json.loads(item["data"]["S"])
        if item["state"]["S"] in WAITING and "closing" not in data["detail"]:
            found.append(f"{data['source']}: {data['key']} still waits for a person ({item['state']['S']})")
    return found
