"""State of the simulated AppFlow: flows, runs and the answers that client tokens repeat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_aws.appflow.future import Outcome


@dataclass
class SimulatedRun:
    """One execution.

    Attributes:
        ends: time at which it ends by itself.
        window: start and end of the data it pulls; None where AppFlow gives none.
        cancelled_at: time of the request to cancel it.
    """

    id: str
    outcome: Outcome
    started: datetime
    ends: datetime
    window: tuple[datetime, datetime] | None = None
    status: str = "InProgress"
    updated: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        """Running, or being cancelled."""
        return self.status in ("InProgress", "CancelStarted")

    def record(self) -> dict[str, Any]:
        """The execution record."""
        outcome = self.outcome
        result: dict[str, Any] | None = None
        if not self.is_under_way:
            cancelled = self.status == "Canceled"
            result = {
                "errorInfo": {
                    "putFailuresCount": outcome.failed_records,
                    "executionMessage": outcome.error[:2048] or None,
                }
                if (outcome.error or outcome.failed_records) and not cancelled
                else None,
                "bytesProcessed": 0 if cancelled else outcome.records * 100,
                "bytesWritten": (0 if cancelled else outcome.written) if outcome.has_bytes else None,
                "recordsProcessed": (0 if cancelled else outcome.records) if outcome.has_records else None,
            }
        return {
            "executionId": self.id,
            "executionStatus": self.status,
            "executionResult": result,
            "startedAt": self.started.timestamp(),
            "lastUpdatedAt": (self.updated or self.started).timestamp(),
            "dataPullStartTime": self.window[0].timestamp() if self.window else None,
            "dataPullEndTime": self.window[1].timestamp() if self.window else None,
        }


@dataclass
class SimulatedFlow:
    """One flow.

    Attributes:
        definition: the request of CreateFlow or UpdateFlow, without name and tags.
        runs: the oldest first.
        failures: in a row, since the last success or activation.
        activated: time of its last activation; None while it is off.
        generation: changes with every activation, so that ticks of an earlier one are void.
        version: `schemaVersion`, one more with every update.
    """

    name: str
    arn: str
    definition: dict[str, Any]
    status: str
    created: datetime
    updated: datetime
    tags: dict[str, str] = field(default_factory=dict)
    status_message: str | None = None
    runs: list[SimulatedRun] = field(default_factory=list)
    failures: int = 0
    activated: datetime | None = None
    generation: int = 0
    version: int = 1

    @property
    def trigger(self) -> str:
        """`triggerType`."""
        return str(self.definition["triggerConfig"]["triggerType"])

    @property
    def schedule(self) -> dict[str, Any]:
        """The `Scheduled` trigger properties, {} for other triggers."""
        properties: dict[str, Any] = self.definition["triggerConfig"].get("triggerProperties") or {}
        return properties.get("Scheduled") or {}

    @property
    def profile(self) -> str:
        """The source's connector profile."""
        return str(self.definition["sourceFlowConfig"].get("connectorProfileName", ""))

    @property
    def resource(self) -> str:
        """Value of the events' `resources`: a hash, no ARN."""
        return hashlib.md5(self.arn.encode(), usedforsecurity=False).hexdigest()

    def under_way(self) -> list[SimulatedRun]:
        """Runs that have not ended."""
        return [run for run in self.runs if run.is_under_way]

    def last_success(self) -> SimulatedRun | None:
        """The newest successful run."""
        return next((run for run in reversed(self.runs) if run.status == "Successful"), None)
