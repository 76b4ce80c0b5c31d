"""The verbs of the replication path. Each task is one step for all replications that need something.

A step keeps what goes wrong with one replication beside it, and the others go on; a task fails only when DMS or the
ledger cannot be asked at all. Nothing is cached or kept by Prefect.
"""

from __future__ import annotations

from blocks.connection import Connection
from recovery.pacing import Pace
from recovery.replication_tasks import act, find, inspection, notices, records, triage
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.latencies import Latencies
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.work import ReplicationRun
from tasks.policies import ONCE
from tasks.steps import step


def open_run(connection: Connection, request: ReplicationRequest, pace: Pace | None = None) -> ReplicationRun:
    """Return a run's tools, on a connection."""
    gateway = ReplicationGateway(connection.client("dms"), pace, connection.client("dms", repeat=False))
    latencies = Latencies(connection.client("cloudwatch"))
    return ReplicationRun(gateway, request, latencies, **connection.tools())


find_replications = step(find.find, "find replications", "found the replications")
read_statistics = step(inspection.inspect, "read statistics", "read the statistics of {batch.count}")
decide = step(triage.triage_all, "decide", "decided on {batch.count}", ONCE)
restart = step(act.restart_all, "restart", "restarted what may be of {batch.count}", ONCE)
notify_people = step(notices.notify, "notify people", "notified people", ONCE)
record = step(records.keep, "record", "recorded {batch.count}", ONCE)
count = records.note
"""Count what was found and done; no request is made."""
