"""Script of a simulated replication, written by tests and the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Stage = Literal["starting", "full-load", "cdc", "running"]


@dataclass(frozen=True)
class Fault:
    """One failure in the script.

    Attributes:
        text: the failure text, as DMS words it.
        stage: the stage in which it happens; "running" is any time after the start.
        after_seconds: seconds after the stage began.
        outcome: "failed", or "stopped" with `text` as the stop reason.
        times: number of runs in which it happens; None for ever.
        table: if set, only this table ("schema.name") goes into error and the rest goes on.
    """

    text: str
    stage: Stage = "running"
    after_seconds: float = 0.0
    outcome: Literal["failed", "stopped"] = "failed"
    times: int | None = 1
    table: str = ""


@dataclass(frozen=True)
class Future:
    """Behaviour of a replication.

    Attributes:
        tables: rows in the source by "schema.name"; None takes them from the table mappings.
        starting_seconds: from the accepted start to "running" (for serverless: once it is provisioned).
        setup_seconds: serverless only: from the accepted start to "replication_starting".
        stopping_seconds: from "stopping" to "stopped".
        load_seconds: a full load of all tables.
        changes_per_second: changes replicated while change capture runs; 0 for a quiet source.
        resume_moves_nothing: a resume reports running and moves zero rows, as seen in the field.
        own_retries_seconds: time for which DMS retries, still "running", after an endpoint went away.
        latency: seconds of latency of change capture, at both sides.
        latency_grows: seconds by which the source latency grows in each second of change capture.
        silent: no event of it arrives anywhere.
        faults: failures to come; the first one due comes first.
    """

    tables: Mapping[str, int] | None = None
    starting_seconds: float = 20.0
    setup_seconds: float = 240.0
    stopping_seconds: float = 10.0
    load_seconds: float = 60.0
    changes_per_second: float = 2.0
    resume_moves_nothing: bool = False
    own_retries_seconds: float = 45.0
    latency: float = 1.0
    latency_grows: float = 0.0
    silent: bool = False
    faults: tuple[Fault, ...] = field(default_factory=tuple)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Future:
        """The same from plain JSON values.

        Raises:
            TypeError: an unknown field.
        """
        values = dict(raw)
        faults = tuple(Fault(**fault) for fault in values.pop("faults", ()))
        return replace(cls(**values), faults=faults)
