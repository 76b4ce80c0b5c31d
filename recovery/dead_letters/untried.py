"""Messages of whose failure nothing is known, under a policy that lets a few of them try. Pure.

Alike are those of one source, first received on one day, of one shape. Each such set has a circuit that is open from
the beginning: one message goes, then ten, then the rest, and what comes back of them is the evidence.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from recovery.dead_letters.actions import WithoutEvidence
from recovery.dead_letters.circuit import Circuit
from recovery.dead_letters.names import short_name

if TYPE_CHECKING:
    from recovery.dead_letters.batch import Batch, MessageWork
    from recovery.dead_letters.policy import DeadLetterPolicy

PREFIX = "untried-"


def name_of_alike(item: MessageWork, policy: DeadLetterPolicy) -> str:
    """Return the name of the circuit of a message that nothing explains; "" where it may not try."""
    if policy.without_evidence is not WithoutEvidence.PROBE or not policy.heal:
        return ""
    if item.diagnosis is not None or item.pending or not item.destination:
        return ""
    history = item.history
    if history is not None and str(history.detail.get("probe", "")).startswith(PREFIX):
        return str(history.detail["probe"]).rpartition("/")[0]
    seen = history.first_seen if history is not None else item.message.first_received_at
    shape = item.message.shape.value.replace("/", "-")
    return f"{PREFIX}{short_name(item.destination)}-{seen:%Y-%m-%d}-{shape}".replace("/", "-")


def open_circuits(batch: Batch, now: datetime) -> None:
    """Open the circuits of messages that nothing explains, where none is known yet. Nothing is written."""
    for item in batch.items:
        name = item.circuit
        if item.diagnosis is None and name.startswith(PREFIX) and name not in batch.circuits:
            batch.circuits[name] = Circuit.of_untried(name, now)
            batch.circuit_changes.add(name)
