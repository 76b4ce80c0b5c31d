"""Metrics of change capture, as CloudWatch has them of tasks and serverless replications that run.

A task has two dimensions: the identifier of its instance, and its own resource id, the end of its ARN (user guide;
prometheus-community/yet-another-cloudwatch-exporter#485). The dimension of a serverless replication is assumed. AWS
counts each minute; here it is each five minutes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulated_aws.dms.state import Account, Replicator
from simulated_aws.requests import MeasuredHost

STEP = timedelta(minutes=5)
LONGEST = timedelta(days=8)


def count(thing: Replicator, account: Account, host: MeasuredHost, now: datetime) -> None:
    """Give CloudWatch what has been counted since the last time."""
    if thing.status != "running" or thing.loading or not thing.captures or thing.stage_began is None:
        thing.counted = None
        return
    at = max(thing.counted or thing.stage_began, now - LONGEST)
    dimensions = _dimensions(thing, account)
    while at + STEP <= now:
        at += STEP
        seconds = (at - thing.stage_began).total_seconds()
        source = thing.future.latency + seconds * (1.0 if thing.idle else thing.future.latency_grows)
        moved = 0.0 if thing.idle else thing.future.changes_per_second
        for name, value in (
            ("CDCLatencySource", source),
            ("CDCLatencyTarget", source + thing.future.latency),
            ("CDCThroughputRowsTarget", moved),
        ):
            host.record_metric("AWS/DMS", name, value, dimensions, at)
    thing.counted = at


def _dimensions(thing: Replicator, account: Account) -> dict[str, str]:
    if ":replication-config:" in thing.arn:
        return {"ReplicationConfigIdentifier": thing.identifier}
    instance = next((each.identifier for each in account.instances.values() if each.arn == thing.instance), "")
    return {
        "ReplicationInstanceIdentifier": instance,
        "ReplicationTaskIdentifier": thing.arn.rsplit(":", 1)[-1],
    }
