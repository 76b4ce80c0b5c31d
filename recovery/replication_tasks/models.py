"""The values of this path: what DMS says of one replication, what was done before, what may be done, what is decided.

Facts and limits come from the DMS API reference and user guide; where a rule rests on field reports, it says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.replication_tasks.lag import Lag
from recovery.replication_tasks.tables import COMPLETED, LOADING, SET_ASIDE, UNEQUAL, Table

FAILED = "failed"
STOPPED = "stopped"
RUNNING = "running"
READY = frozenset({"ready", "created"})
# "creating" is a status of tasks, the others after "testing" are those of a serverless replication being set up.
IN_TRANSITION = frozenset(
    {
        "creating",
        "deleting",
        "modifying",
        "moving",
        "starting",
        "stopping",
        "testing",
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "deprovisioning_capacity",
        "deprovisioning",
        "replication_starting",
    }
)
STARTING = frozenset(
    {
        "starting",
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "replication_starting",
    }
)
"""Those of them that a start leads through."""
DEPROVISIONED = "deprovisioned"
KEPT_AFTER_STOP = timedelta(hours=48)
"""A stopped or failed serverless replication is deprovisioned after this time and cannot be resumed (user guide)."""

ON_PURPOSE = frozenset(
    {
        "NORMAL",
        "FULL_LOAD_ONLY_FINISHED",
        "STOPPED_AFTER_FULL_LOAD",
        "STOPPED_AFTER_CACHED_EVENTS",
        "STOPPED_AFTER_DDL_APPLY",
        "STOPPED_AT_SERVER_TIME",
        "STOPPED_AT_COMMIT_TIME",
    }
)
"""Stop reasons of a replication that did what it was set to do."""
RECYCLING = frozenset({"RECONFIGURATION_RESTART", "RECYCLE_TASK"})
"""Stop reasons after which DMS itself starts the task again."""
IN_ERROR_STOP = RECYCLING | {
    "RECOVERABLE_ERROR",
    "FATAL_ERROR",
    "EXPRESS_LICENSE_LIMITS_REACHED",
    "STOPPED_DUE_TO_LOW_MEMORY",
    "STOPPED_DUE_TO_LOW_DISK",
}
"""Stop reasons of a replication that did not mean to stop."""


PATH = "replication_tasks"
FLAPPED = "failed again at once"
REFUSED = "refused"
NOT_MADE = "not carried out"


_STOP_REASON = re.compile(r"Stop Reason\s+([A-Z_]+)")
_ERROR_LEVEL = re.compile(r"Error Level\s+([A-Z_]+)")


class Migration(StrEnum):
    """Kinds of replication."""

    FULL_LOAD = "full-load"
    CDC = "cdc"
    FULL_LOAD_AND_CDC = "full-load-and-cdc"

    @property
    def loads(self) -> bool:
        """True when it begins with a full load of its tables."""
        return self is not Migration.CDC

    @property
    def captures(self) -> bool:
        """True when it captures changes."""
        return self is not Migration.FULL_LOAD


class Preparation(StrEnum):
    """Treatment of a target table before a full load (setting `TargetTablePrepMode`)."""

    DO_NOTHING = "DO_NOTHING"
    DROP_AND_CREATE = "DROP_AND_CREATE"
    TRUNCATE = "TRUNCATE_BEFORE_LOAD"


class Verb(StrEnum):
    """The four things that can be done to a replication."""

    START = "start-replication"
    RESUME = "resume-processing"
    RELOAD = "reload-target"
    RELOAD_TABLES = "reload-tables"


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a replication; two of them show movement."""

    rows: int = 0
    changes: int = 0
    completed: int = 0
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """DMS's view of one task or serverless replication at one moment.

    Attributes:
        arn: of the task, or of the replication config.
        name: the identifier that people gave it.
        serverless: whether it is a serverless replication.
        migration: what it does.
        status: as DMS spells it, in lower case.
        last_failure: `LastFailureMessage`, or the joined `FailureMessages`. It may be an old one: read `failure`.
        stop_reason: `StopReason`, often the whole failure text.
        checkpoint: `RecoveryCheckpoint`; "" when change capture never began.
        start_position: where its change capture was set to begin, in the form in which DMS takes it; "" where nobody
            reported.
        has_run: whether it ever got past its very first start.
        errored: `TablesErrored`, which is known without the statistics.
        tables: the table statistics, or None when they were not read.
        preparation: what a full load does to a target table first.
        accepted: when DMS last accepted a start, whatever came of it; None where DMS does not report it.
        started: when it last began to run, fresh or resumed.
        stopped: when it last stopped or failed.
        deprovisions: when a serverless replication is (or was) deprovisioned.
        instance, instance_status: ARN and status of its replication instance; "" for serverless and when unknown.
        tags: read only when a pattern asks for tags.
        lag: CloudWatch's counts of one that runs, or None when they were not read.
    """

    arn: str
    name: str
    migration: Migration
    status: str
    serverless: bool = False
    last_failure: str = ""
    stop_reason: str = ""
    checkpoint: str = ""
    start_position: str = ""
    has_run: bool = True
    errored: int = 0
    tables: tuple[Table, ...] | None = None
    preparation: Preparation = Preparation.DROP_AND_CREATE
    accepted: datetime | None = None
    started: datetime | None = None
    stopped: datetime | None = None
    deprovisions: datetime | None = None
    instance: str = ""
    instance_status: str = ""
    tags: frozenset[tuple[str, str]] = frozenset()
    lag: Lag | None = None

    @property
    def failure(self) -> str:
        """The text of the present failure, or "". DMS keeps the last message after a restart: it counts only now."""
        if self.status == FAILED:
            return self.last_failure or self.stop_reason
        if self.status == STOPPED and self.was_stopped_by_an_error:
            return self.stop_reason
        if self.status == DEPROVISIONED and self.stop_code not in ON_PURPOSE:
            return self.last_failure or (self.stop_reason if self.was_stopped_by_an_error else "")
        return ""

    @property
    def was_stopped_by_an_error(self) -> bool:
        """True when the stop reason itself says that it did not mean to stop."""
        code = self.stop_code
        return code in IN_ERROR_STOP or (code not in ON_PURPOSE and "Last Error" in self.stop_reason)

    @property
    def stop_code(self) -> str:
        """The stop reason's own word ("NORMAL", "FATAL_ERROR" ...), or ""."""
        found = _STOP_REASON.search(self.stop_reason)
        if not found and self.status == FAILED:
            found = _STOP_REASON.search(self.last_failure)
        return found.group(1) if found else ""

    @property
    def is_recoverable(self) -> bool:
        """True when DMS itself calls the present failure a recoverable one."""
        found = _ERROR_LEVEL.search(self.failure)
        level = found.group(1) if found else ""
        return level == "RECOVERABLE" or (not level and self.stop_code == "RECOVERABLE_ERROR")

    @property
    def has_position(self) -> bool:
        """True when its change capture has a position in the source that could be lost."""
        return self.migration is Migration.CDC or (self.migration.captures and bool(self.checkpoint))

    @property
    def load_is_complete(self) -> bool:
        """True when the table statistics show every table loaded; percentages prove nothing (100 % of nothing)."""
        return bool(self.tables) and all(table.state == COMPLETED for table in self.tables or ())

    @property
    def load_is_over(self) -> bool:
        """True when no table is in its first load any more, whatever became of single tables."""
        return bool(self.tables) and not self.tables_loading

    @property
    def tables_loading(self) -> tuple[Table, ...]:
        """The tables whose first load never finished, by name."""
        return tuple(sorted(table for table in self.tables or () if table.state in LOADING))

    @property
    def tables_set_aside(self) -> tuple[Table, ...]:
        """The tables that are not replicated (error, cancelled, suspended, missing), by name."""
        return tuple(sorted(table for table in self.tables or () if table.state in SET_ASIDE))

    @property
    def tables_unequal(self) -> tuple[Table, ...]:
        """The tables whose validation failed, by name."""
        return tuple(sorted(table for table in self.tables or () if table.validation in UNEQUAL or table.mismatched))

    @property
    def empties_target(self) -> bool:
        """True when a full load of it drops or truncates what stands in the target."""
        return self.migration.loads and self.preparation is not Preparation.DO_NOTHING

    @property
    def progress(self) -> Progress:
        """Progress by the statistics that were read."""
        tables = self.tables or ()
        return Progress(
            rows=sum(table.rows for table in tables),
            changes=sum(table.changes for table in tables),
            completed=sum(table.state == COMPLETED for table in tables),
            checkpoint=self.checkpoint,
        )


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart that was made, or at least claimed.

    Attributes:
        at: when, aware, UTC.
        verb: what was asked for.
        before: how far the replication had come by then.
        tables: the tables that were reloaded, as `schema.name`, for `RELOAD_TABLES`.
        outcome: what became of it (`verify.Outcome`, or one of the words above), "" while that is not known.
        by: the run that claimed it, so that no two claims are ever alike.
    """

    at: datetime
    verb: Verb
    before: Progress = field(default_factory=Progress)
    tables: tuple[str, ...] = ()
    outcome: str = ""
    by: str = ""

    @property
    def was_made(self) -> bool:
        """True when DMS ever set about it; a restart only written down, or refused, was not."""
        return self.outcome not in {NOT_MADE, REFUSED}


@dataclass(frozen=True, slots=True)
class History:
    """The ledger's memory of one replication.

    Attributes:
        restarts: the restarts of the last hours, the oldest first, across incidents: what worked but came back counts.
        came_back: how many times in a row, up to now, a restart failed again within the policy's `flap_seconds`.
        incident: when the present failure was first seen; None before it was.
        tried: restarts of the present incident, without those that were never carried out.
        jitter: of the next wait, from 0 to 1; chosen once for each wait.
        start_was_refused: DMS answered that it ran before, whatever the dates show.
        cause_fixed: a person says that what the failure text names has been fixed.
    """

    restarts: tuple[Restart, ...] = ()
    came_back: int = 0
    incident: datetime | None = None
    tried: int = 0
    jitter: float = 1.0
    start_was_refused: bool = False
    cause_fixed: bool = False
