"""The relay's rights in AWS: the calls of its own modules and of the gateways that it shares.

The policy in `deployments/cloudformation/events.yaml` is exactly their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recovery import ledger
from recovery.dead_letters import gateway as messages
from recovery.metrics import gateway as metrics
from recovery.outbox_records import gateway as rows
from recovery.outbox_records import stream
from relay import queue

Table = Mapping[str, Iterable[str]]

CALLED: tuple[tuple[Table, frozenset[str]], ...] = (
    (queue.ACTIONS, frozenset(queue.ACTIONS)),
    (metrics.ACTIONS, frozenset(metrics.ACTIONS)),
    (messages.ACTIONS, frozenset({"find", "describe", "visible"})),
    (stream.ACTIONS, frozenset(stream.ACTIONS)),
    (rows.ACTIONS, frozenset({"describe", "change"})),
    (ledger.ACTIONS, frozenset({"due", "read_record", "write_record"})),
)
"""A table of IAM actions by method, and the methods of it that the relay calls."""


def actions() -> frozenset[str]:
    """All IAM actions that the relay needs."""
    return frozenset(action for table, methods in CALLED for method in methods for action in table[method])
