"""Situations of DMS, written down by a person: the facts, the verdict, its sentence, the end state.

`section` is the place in the collection of AWS facts that the rules were drawn from: 3.4 serverless, 3.5 status and
stop reasons, 3.6 starting rules, 3.7 DMS's own retries, 3.8 restart policy. The end state is what
tests/gateways/test_dms_situations.py finds when the same situation is put into the strict DMS and the verdict carried
out there:

- "untouched"     nothing was started, and nothing in the target was emptied
- "replicating"   it runs, and changes arrive
- "loaded"        its full load has ended, and every table is complete
- "in-part"     it runs, changes arrive in all tables that are not set aside, and nothing was emptied
- "resumed"     it was resumed, and nothing was emptied; what it moves is checked later
- "quiet"         it runs; nothing moved, because the source has nothing to send
- "fixed"        it runs, and no table is in error
- anything else: the verdict that follows once the wait is over
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.replication_tasks.lag import Lag
from recovery.replication_tasks.models import KEPT_AFTER_STOP, Facts, History, Migration, Preparation, Restart, Verb
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.tables import Table

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

LOADED = (Table("public", "orders", "Table completed", 1000), Table("public", "items", "Table completed", 1000))
HALF = (Table("public", "orders", "Table completed", 1000), Table("public", "items", "Full load", 400))
UNEQUAL = (
    Table("public", "orders", "Table completed", 1000, validation="Validated"),
    Table("public", "items", "Table completed", 1000, validation="Mismatched records", mismatched=12),
)
BEHIND = Lag(source=(1.0,) * 12, target=tuple(100.0 + 300 * step for step in range(12)))
STANDING = Lag(moved=(3.0,) * 90 + (0.0,) * 6)
QUEUED = (Table("public", "orders", "Full load", 10), Table("public", "items", "Before load", 0))
BROKEN = (Table("public", "orders", "Table completed", 1000), Table("public", "items", "Table error", 0))
BROKEN_LOADING = (*BROKEN, Table("public", "users", "Full load", 400))
CHECKPOINT = "checkpoint:V1#90#orders-log.000090:4#0#0#*#0#0"

RECOVERABLE = "Last Error  ODBC general error. Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"
ABNORMAL = "Last Error The task stopped abnormally Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"
LOST = "Last Error  Lost connection to server during query. Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"
FATAL = " Stop Reason FATAL_ERROR Error Level FATAL"
GAVE_UP = f"Task 'orders' was stopped after 7 recovery attempts{FATAL}"
OUT_OF_MEMORY = f"Last Error  Replication out of memory.{FATAL}"
BINLOG = (
    f"Last Error  Error 1236 (Could not find first log file name in binary log index file) reading binary log.{FATAL}"
)
BINLOG_REFUSED = f"Last Error Error 1236 reading binary log.{FATAL}"
WRONG_PASSWORD = (
    f"Last Error  Endpoint initialization failed. Access denied for user 'dms'@'10.0.0.7' (using password: YES){FATAL}"
)
NO_TABLES = (
    "Last Error  No tables were found at task initialization. Either the selected table(s) or schemas(s) no longer"
    f" exist or no match was found for the table selection pattern(s).{FATAL}"
)
SUPPLEMENTAL = f"Last Error  CDC cannot be provided because supplemental_log_data_min in v$database is set to NO{FATAL}"

RELOADABLE = ReplicationPolicy(allow_reload=("orders",))
CAREFUL = ReplicationPolicy()


def task(migration: Migration, status: str, text: str = "", **facts: Any) -> Facts:
    """A task that failed (or stopped) two hours ago with this text."""
    given: dict[str, Any] = {
        "arn": "arn:aws:dms:us-east-1:000000000000:task:ORDERS",
        "name": "orders",
        "migration": migration,
        "status": status,
        "instance": "arn:aws:dms:us-east-1:000000000000:rep:R1",
        "instance_status": "available",
        "started": NOW - 24 * HOUR,
        "stopped": NOW - 2 * HOUR,
        "tables": LOADED,
        "checkpoint": CHECKPOINT if migration is not Migration.FULL_LOAD else "",
        "last_failure": text if status == "failed" else "",
        "stop_reason": text,
    } | facts
    if given.get("has_run") is False:
        given |= {"started": None, "checkpoint": "", "tables": facts.get("tables", ())}
    given["errored"] = sum(table.state == "Table error" for table in given["tables"] or ())
    return Facts(**given)


def cdc(status: str, text: str = "", **facts: Any) -> Facts:
    return task(Migration.CDC, status, text, **facts)


def load(status: str, text: str = "", **facts: Any) -> Facts:
    return task(Migration.FULL_LOAD, status, text, **facts)


def both(status: str, text: str = "", **facts: Any) -> Facts:
    return task(Migration.FULL_LOAD_AND_CDC, status, text, **facts)


def serverless(migration: Migration, status: str, text: str = "", **facts: Any) -> Facts:
    """A serverless replication that failed (or stopped) two hours ago."""
    made = task(
        migration,
        status,
        text,
        arn="arn:aws:dms:us-east-1:000000000000:replication-config:ORDERS",
        serverless=True,
        instance="",
        instance_status="",
        **facts,
    )
    ends = status in {"failed", "stopped", "deprovisioned"} and made.stopped is not None
    return replace(made, deprovisions=made.stopped + KEPT_AFTER_STOP if ends and made.stopped else None)


def restarted(*minutes_ago: float, verb: Verb = Verb.RESUME, tried: int | None = None, **history: Any) -> History:
    """A history of restarts, the oldest first."""
    restarts = tuple(Restart(NOW - MINUTE * ago, verb) for ago in minutes_ago)
    return History(
        restarts=restarts, tried=len(restarts) if tried is None else tried, incident=NOW - 2 * HOUR, **history
    )


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    id: str
    section: str
    facts: Facts
    verdict: str
    rule: str
    end: str = "untouched"
    history: History = field(default_factory=History)
    policy: ReplicationPolicy = CAREFUL
    says: str = ""


FULL_LOAD, CDC, BOTH = Migration.FULL_LOAD, Migration.CDC, Migration.FULL_LOAD_AND_CDC
S = Row

SITUATIONS = [
    # -- in transition: DMS accepts nothing meanwhile
    S("starting", "3.6", cdc("starting"), "Wait", "in-transition", "Leave"),
    S("stopping", "3.6", cdc("stopping"), "Wait", "in-transition", "Leave"),
    S("modifying", "3.6", both("modifying"), "Wait", "in-transition", "Leave"),
    S("moving", "3.5", both("moving"), "Wait", "in-transition", "Leave"),
    S("testing", "3.5", load("testing"), "Wait", "in-transition", "Leave"),
    S("deleting", "3.5", load("deleting"), "Wait", "in-transition", "gone"),
    S("serverless-provisioning", "3.4", serverless(CDC, "provisioning_capacity"), "Wait", "in-transition", "Leave"),
    S("serverless-fetching", "3.4", serverless(BOTH, "fetching_metadata"), "Wait", "in-transition", "Leave"),
    # -- running
    S("running", "3.7", cdc("running"), "Leave", "running"),
    S("running-old-failure", "3.5", cdc("running", last_failure=RECOVERABLE), "Leave", "running"),
    S(
        "running-dms-retries",
        "3.7",
        both("running", last_failure=LOST),
        "Leave",
        "running",
        says="DMS retries by itself",
    ),
    S(
        "running-table-error",
        "3.6",
        both("running", tables=BROKEN),
        "ReloadTables",
        "table-errors",
        "fixed",
        policy=RELOADABLE,
    ),
    S(
        "running-table-error-not-allowed",
        "3.6",
        both("running", tables=BROKEN),
        "Escalate",
        "table-errors",
        says="aws dms reload-tables",
    ),
    S(
        "running-table-error-full-load",
        "3.6",
        load("running", tables=BROKEN_LOADING),
        "ReloadTables",
        "table-errors",
        "loaded",
        policy=RELOADABLE,
    ),
    S(
        "running-table-error-cdc-only",
        "3.6",
        cdc("running", tables=BROKEN),
        "Escalate",
        "table-errors",
        policy=RELOADABLE,
        says="without a full load",
    ),
    S(
        "running-table-error-unprepared",
        "3.6",
        both("running", tables=BROKEN, preparation=Preparation.DO_NOTHING),
        "Escalate",
        "table-errors",
        policy=RELOADABLE,
        says="empty these tables",
    ),
    S(
        "serverless-table-error",
        "3.4",
        serverless(BOTH, "running", tables=BROKEN),
        "ReloadTables",
        "table-errors",
        "fixed",
        policy=RELOADABLE,
    ),
    S(
        "running-table-error-just-reloaded",
        "3.6",
        both("running", tables=BROKEN),
        "Wait",
        "backoff",
        "ReloadTables",
        history=restarted(0.2, verb=Verb.RELOAD_TABLES),
        policy=RELOADABLE,
    ),
    S(
        "running-validation-failed",
        "3.7",
        both("running", tables=UNEQUAL),
        "Escalate",
        "validation-failed",
        policy=RELOADABLE,
        says="1 table in the target differ from the source (public.items; 12 rows",
    ),
    S(
        "running-validation-failed-unreported",
        "3.7",
        both("running", tables=UNEQUAL),
        "Leave",
        "running",
        policy=ReplicationPolicy(findings=False),
    ),
    S(
        "running-latency-grows",
        "3.7",
        both("running", lag=BEHIND),
        "Escalate",
        "latency-grows",
        says="its target latency has only grown for 60 minutes, from 100 s to 3,400 s",
    ),
    S(
        "running-latency-grows-unreported",
        "3.7",
        both("running", lag=BEHIND),
        "Leave",
        "running",
        policy=ReplicationPolicy(findings=False),
    ),
    S(
        "running-moves-nothing",
        "3.7",
        cdc("running", lag=STANDING),
        "Escalate",
        "moves-nothing",
        says="it has applied no row for 6 hours; in the 90 hours before it never stood still for more than 0",
    ),
    S(
        "running-behind-with-tables-in-error",
        "3.7",
        both("running", tables=BROKEN, lag=BEHIND),
        "Escalate",
        "table-errors",
        says="does not allow to reload",
    ),
    # -- never started, or not failed
    S("ready-never-started", "3.6", cdc("ready", has_run=False, stopped=None), "Leave", "ready"),
    S("ready-after-change", "3.6", both("ready"), "Leave", "ready"),
    S("serverless-created", "3.4", serverless(BOTH, "created", has_run=False, stopped=None), "Leave", "ready"),
    S("failed-move", "3.5", cdc("failed-move"), "Escalate", "failed-move", says="move it again"),
    S("stopped-by-operator", "3.8", cdc("stopped", "Stop Reason NORMAL"), "Leave", "stopped-on-purpose"),
    S("stopped-without-reason", "3.8", cdc("stopped"), "Leave", "stopped-on-purpose"),
    S(
        "stopped-with-old-failure",
        "3.5",
        cdc("stopped", "Stop Reason NORMAL", last_failure=RECOVERABLE),
        "Leave",
        "stopped-on-purpose",
    ),
    S(
        "full-load-finished",
        "3.5",
        load("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"),
        "Leave",
        "stopped-on-purpose",
        says="finished",
    ),
    S(
        "full-load-finished-with-errors",
        "3.5",
        load("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED", tables=BROKEN),
        "Escalate",
        "load-with-errors",
        says="public.items",
    ),
    S(
        "full-load-finished-with-errors-unreported",
        "3.5",
        load("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED", tables=BROKEN),
        "Leave",
        "stopped-on-purpose",
        policy=ReplicationPolicy(findings=False),
    ),
    S(
        "stopped-after-load-with-errors",
        "3.5",
        both("stopped", "Stop Reason STOPPED_AFTER_FULL_LOAD", tables=BROKEN),
        "Escalate",
        "load-with-errors",
        says="aws dms reload-tables",
    ),
    S(
        "stopped-by-operator-with-errors",
        "3.5",
        both("stopped", "Stop Reason NORMAL", tables=BROKEN),
        "Escalate",
        "load-with-errors",
        policy=RELOADABLE,
    ),
    S(
        "stopped-after-load",
        "3.5",
        both("stopped", "Stop Reason STOPPED_AFTER_FULL_LOAD"),
        "Leave",
        "stopped-on-purpose",
    ),
    S(
        "stopped-after-cached",
        "3.5",
        both("stopped", "Stop Reason STOPPED_AFTER_CACHED_EVENTS"),
        "Leave",
        "stopped-on-purpose",
    ),
    S("stopped-after-ddl", "3.5", cdc("stopped", "Stop Reason STOPPED_AFTER_DDL_APPLY"), "Leave", "stopped-on-purpose"),
    S(
        "stopped-at-server-time",
        "3.5",
        cdc("stopped", "Stop Reason STOPPED_AT_SERVER_TIME"),
        "Leave",
        "stopped-on-purpose",
    ),
    S(
        "stopped-at-commit-time",
        "3.5",
        cdc("stopped", "Stop Reason STOPPED_AT_COMMIT_TIME"),
        "Leave",
        "stopped-on-purpose",
    ),
    S(
        "stopped-for-an-unknown-reason",
        "3.5",
        cdc("stopped", "Stop Reason SOMETHING_NEW"),
        "Leave",
        "stopped-on-purpose",
        says="SOMETHING_NEW",
    ),
    S("serverless-stopped", "3.4", serverless(CDC, "stopped", "Stop Reason NORMAL"), "Leave", "stopped-on-purpose"),
    S(
        "serverless-stopped-long-ago",
        "3.4",
        serverless(CDC, "deprovisioned", "Stop Reason NORMAL", stopped=NOW - 80 * HOUR, tables=()),
        "Leave",
        "stopped-on-purpose",
    ),
    S("status-unknown", "3.5", cdc("hibernating"), "Leave", "unknown-status", says="hibernating"),
    # -- DMS restarts it, or its instance is away
    S(
        "recycled-just-now",
        "3.8",
        cdc("stopped", "Stop Reason RECYCLE_TASK", stopped=NOW - 2 * MINUTE),
        "Wait",
        "recycling",
        "Resume",
    ),
    S(
        "reconfigured-just-now",
        "3.8",
        cdc("stopped", "Stop Reason RECONFIGURATION_RESTART", stopped=NOW - 2 * MINUTE),
        "Wait",
        "recycling",
        "Resume",
    ),
    S(
        "instance-in-maintenance",
        "3.8",
        cdc("failed", RECOVERABLE, instance_status="maintenance"),
        "Wait",
        "instance-away",
        "Wait",
    ),
    S("instance-rebooting", "3.8", cdc("failed", LOST, instance_status="rebooting"), "Wait", "instance-away", "Wait"),
    S(
        "instance-storage-full",
        "3.8",
        cdc("failed", LOST, instance_status="storage-full"),
        "Escalate",
        "instance-down",
        says="more storage",
    ),
    S(
        "instance-network",
        "3.2",
        cdc("failed", LOST, instance_status="incompatible-network"),
        "Escalate",
        "instance-down",
    ),
    # -- the position is lost
    S(
        "binlog-gone-cdc",
        "3.5",
        cdc("failed", BINLOG),
        "Escalate",
        "position-lost",
        policy=RELOADABLE,
        says="create a new task",
    ),
    S("binlog-gone-reload", "3.5", both("failed", BINLOG), "Reload", "position-lost", "replicating", policy=RELOADABLE),
    S("binlog-gone-not-allowed", "3.8", both("failed", BINLOG), "Escalate", "reload-not-allowed", says="reload-target"),
    S(
        "archived-log-gone",
        "3.8",
        both("failed", f"ORA-00308: cannot open archived log; archived redo log is missing{FATAL}"),
        "Reload",
        "position-lost",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "slot-gone",
        "3.8",
        both("failed", f'Last Error  replication slot "dms_7" does not exist{FATAL}'),
        "Reload",
        "position-lost",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "log-truncated",
        "3.8",
        both("failed", f"Last Error  Failed to access LSN in the backup log sets since the log was truncated{FATAL}"),
        "Reload",
        "position-lost",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "db2-by-time",
        "3.5",
        cdc("failed", f"Resume from timestamp is not supported [1020455]{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "binlog-refused",
        "3.5",
        both("failed", BINLOG_REFUSED),
        "Resume",
        "load-and-cdc",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "binlog-refused-again",
        "3.5",
        both("failed", BINLOG_REFUSED),
        "Escalate",
        "not-again",
        history=restarted(100),
        policy=RELOADABLE,
        says="inner text",
    ),
    S(
        "binlog-gone-says-what-it-empties",
        "3.8",
        both("failed", BINLOG),
        "Escalate",
        "reload-not-allowed",
        says="empties 2 tables with 2,000 loaded rows (public.items, public.orders)",
    ),
    S(
        "binlog-gone-recoverable",
        "3.8",
        both("failed", BINLOG.replace("FATAL_ERROR Error Level FATAL", "RECOVERABLE_ERROR Error Level RECOVERABLE")),
        "Resume",
        "load-and-cdc",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "serverless-deprovisioned",
        "3.4",
        serverless(BOTH, "deprovisioned", RECOVERABLE, last_failure=RECOVERABLE, stopped=NOW - 50 * HOUR, tables=()),
        "Reload",
        "position-lost",
        "replicating",
        policy=RELOADABLE,
        says="deprovisioned",
    ),
    S(
        "serverless-cdc-deprovisioned",
        "3.4",
        serverless(CDC, "deprovisioned", RECOVERABLE, last_failure=RECOVERABLE, stopped=NOW - 50 * HOUR, tables=()),
        "Escalate",
        "position-lost",
        policy=RELOADABLE,
    ),
    S(
        "serverless-47-hours",
        "3.4",
        serverless(BOTH, "failed", RECOVERABLE, stopped=NOW - 47 * HOUR),
        "Resume",
        "load-and-cdc",
        "replicating",
    ),
    # -- no restart helps
    S("wrong-password", "3.8", cdc("failed", WRONG_PASSWORD), "Escalate", "not-transient", says="credentials"),
    S(
        "wrong-password-on-first-start",
        "3.8",
        cdc("failed", WRONG_PASSWORD, has_run=False),
        "Escalate",
        "not-transient",
    ),
    S(
        "no-supplemental-logging",
        "3.5",
        both("failed", SUPPLEMENTAL),
        "Escalate",
        "not-transient",
        says="supplemental logging",
    ),
    S(
        "no-archivelog",
        "3.5",
        cdc("failed", f"ARCHIVELOG mode is not configured in the Oracle instance [1022313]{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "no-ms-cdc",
        "3.5",
        cdc("failed", f"MS-CDC has not been enabled on database 'source'{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "no-server-name",
        "3.5",
        cdc("failed", f"Endpoint initialization failed. Server name must be supplied{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "no-tables",
        "3.5",
        load("failed", NO_TABLES, has_run=False),
        "Escalate",
        "not-transient",
        policy=RELOADABLE,
        says="table mapping",
    ),
    S(
        "missing-grants",
        "3.8",
        cdc("failed", f"ORA-01031: insufficient privileges{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "kms",
        "3.8",
        cdc("failed", f"KMSAccessDeniedFault: The ciphertext refers to a KMS key that is not accessible{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S(
        "disk-full",
        "3.8",
        both("failed", f"could not extend file: No space left on device{FATAL}"),
        "Escalate",
        "not-transient",
        says="storage",
    ),
    S(
        "unsupported",
        "3.8",
        load("failed", f"Data type GEOGRAPHY is not supported for the target{FATAL}"),
        "Escalate",
        "not-transient",
    ),
    S("licence", "3.5", cdc("stopped", "Stop Reason EXPRESS_LICENSE_LIMITS_REACHED"), "Escalate", "not-transient"),
    S(
        "serverless-connection-test",
        "3.4",
        serverless(CDC, "failed", "Test connection failed for endpoint 'source'."),
        "Escalate",
        "not-transient",
    ),
    S(
        "wrong-password-fixed",
        "3.8",
        cdc("failed", WRONG_PASSWORD),
        "Resume",
        "cdc",
        "replicating",
        history=History(cause_fixed=True),
    ),
    # -- pressure, and what nobody knows: once
    S("low-memory", "3.8", cdc("stopped", "Stop Reason STOPPED_DUE_TO_LOW_MEMORY"), "Resume", "cdc", "replicating"),
    S("low-disk", "3.8", cdc("stopped", "Stop Reason STOPPED_DUE_TO_LOW_DISK"), "Resume", "cdc", "replicating"),
    S("out-of-memory", "3.5", cdc("failed", OUT_OF_MEMORY), "Resume", "cdc", "replicating"),
    S(
        "out-of-memory-again",
        "3.8",
        cdc("failed", OUT_OF_MEMORY),
        "Escalate",
        "not-again",
        history=restarted(100),
        says="larger instance",
    ),
    S(
        "low-memory-just-now",
        "3.8",
        cdc("stopped", "Stop Reason STOPPED_DUE_TO_LOW_MEMORY", stopped=NOW),
        "Wait",
        "backoff",
        "Resume",
    ),
    S("gave-up", "3.5", cdc("failed", GAVE_UP), "Resume", "cdc", "replicating"),
    S("gave-up-again", "3.5", cdc("failed", GAVE_UP), "Escalate", "not-again", history=restarted(100)),
    S("no-text-at-all", "3.5", cdc("failed"), "Resume", "cdc", "replicating"),
    # -- change capture only
    S("cdc-recoverable", "3.5", cdc("failed", RECOVERABLE), "Resume", "cdc", "replicating"),
    S("cdc-recoverable-just-now", "3.8", cdc("failed", RECOVERABLE, stopped=NOW), "Resume", "cdc", "replicating"),
    S("cdc-abnormal", "3.5", cdc("failed", ABNORMAL), "Resume", "cdc", "replicating"),
    S(
        "cdc-stopped-recoverable",
        "3.5",
        cdc("stopped", "Stop Reason RECOVERABLE_ERROR"),
        "Resume",
        "cdc",
        "replicating",
    ),
    S("cdc-connection-lost", "3.8", cdc("failed", LOST), "Resume", "cdc", "replicating"),
    S("cdc-connection-lost-just-now", "3.8", cdc("failed", LOST, stopped=NOW), "Wait", "backoff", "Resume"),
    S(
        "cdc-no-checkpoint",
        "3.6",
        cdc("failed", RECOVERABLE, checkpoint=""),
        "Escalate",
        "cdc",
        says="create a new task",
    ),
    S("serverless-cdc", "3.4", serverless(CDC, "failed", RECOVERABLE), "Resume", "cdc", "replicating"),
    # -- full load and change capture
    S("both-in-cdc", "3.6", both("failed", RECOVERABLE), "Resume", "load-and-cdc", "replicating"),
    S(
        "both-in-load",
        "3.6",
        both("failed", RECOVERABLE, tables=HALF, checkpoint=""),
        "Reload",
        "load-and-cdc",
        "replicating",
        policy=RELOADABLE,
        says="2 tables with 1,400 loaded rows",
    ),
    S(
        "both-in-load-not-allowed",
        "3.6",
        both("failed", RECOVERABLE, tables=HALF, checkpoint=""),
        "Escalate",
        "reload-not-allowed",
        says="reload-target",
    ),
    S(
        "both-queued",
        "3.6",
        both("failed", RECOVERABLE, tables=QUEUED, checkpoint=""),
        "Reload",
        "load-and-cdc",
        "replicating",
        policy=RELOADABLE,
    ),
    S(
        "both-table-error",
        "3.6",
        both("failed", RECOVERABLE, tables=BROKEN),
        "Resume",
        "load-and-cdc",
        "in-part",
        policy=RELOADABLE,
        says="1 table set aside",
    ),
    S(
        "both-table-error-not-allowed",
        "3.6",
        both("failed", LOST, tables=BROKEN),
        "Resume",
        "load-and-cdc",
        "in-part",
    ),
    S(
        "both-table-cancelled",
        "3.6",
        both("failed", RECOVERABLE, tables=(*LOADED, Table("public", "users", "Table cancelled"))),
        "Resume",
        "load-and-cdc",
        "in-part",
        policy=RELOADABLE,
    ),
    S(
        "both-table-missing",
        "3.6",
        both("failed", RECOVERABLE, tables=(*LOADED, Table("public", "users", "Table does not exist"))),
        "Resume",
        "load-and-cdc",
        "in-part",
        policy=RELOADABLE,
    ),
    S(
        "both-table-being-reloaded",
        "3.6",
        both("failed", RECOVERABLE, tables=(*LOADED, Table("public", "users", "Table is being reloaded", 5))),
        "Resume",
        "load-and-cdc",
        "resumed",
        policy=RELOADABLE,
    ),
    S(
        "both-checkpoint-but-still-loading",
        "3.6",
        both("failed", RECOVERABLE, tables=HALF),
        "Resume",
        "load-and-cdc",
        "resumed",
        policy=RELOADABLE,
        says="public.items",
    ),
    S(
        "both-loaded-no-checkpoint",
        "3.6",
        both("failed", RECOVERABLE, checkpoint=""),
        "Escalate",
        "load-and-cdc",
        policy=RELOADABLE,
        says="(1) Keep the target",
    ),
    S(
        "both-no-statistics",
        "3.5",
        both("failed", RECOVERABLE, tables=()),
        "Resume",
        "load-and-cdc",
        "resumed",
        policy=RELOADABLE,
    ),
    S(
        "both-no-statistics-no-checkpoint",
        "3.5",
        both("failed", RECOVERABLE, tables=(), checkpoint=""),
        "Escalate",
        "load-and-cdc",
        policy=RELOADABLE,
        says="(2) Load everything again",
    ),
    S(
        "both-unprepared",
        "3.6",
        both("failed", RECOVERABLE, tables=HALF, checkpoint="", preparation=Preparation.DO_NOTHING),
        "Escalate",
        "reload-over-data",
        policy=RELOADABLE,
        says="empty the target",
    ),
    S(
        "serverless-both-in-cdc",
        "3.4",
        serverless(BOTH, "failed", RECOVERABLE),
        "Resume",
        "load-and-cdc",
        "replicating",
    ),
    S(
        "serverless-both-in-load",
        "3.4",
        serverless(BOTH, "failed", RECOVERABLE, tables=HALF, checkpoint=""),
        "Reload",
        "load-and-cdc",
        "replicating",
        policy=RELOADABLE,
    ),
    # -- full load only
    S("load-unfinished", "3.6", load("failed", RECOVERABLE, tables=HALF), "Resume", "full-load", "loaded"),
    S("load-queued", "3.6", load("failed", RECOVERABLE, tables=QUEUED), "Resume", "full-load", "loaded"),
    S(
        "load-table-error",
        "3.6",
        load("failed", RECOVERABLE, tables=BROKEN),
        "Escalate",
        "full-load",
        policy=RELOADABLE,
        says="load just these tables",
    ),
    S(
        "load-table-error-while-loading",
        "3.6",
        load("failed", RECOVERABLE, tables=BROKEN_LOADING),
        "Resume",
        "full-load",
        "resumed",
        policy=RELOADABLE,
    ),
    S("load-no-statistics", "3.5", load("failed", RECOVERABLE, tables=()), "Resume", "full-load", "loaded"),
    S(
        "serverless-load",
        "3.4",
        serverless(FULL_LOAD, "failed", RECOVERABLE, tables=HALF),
        "Reload",
        "full-load",
        "loaded",
        policy=RELOADABLE,
    ),
    S(
        "serverless-load-not-allowed",
        "3.4",
        serverless(FULL_LOAD, "failed", RECOVERABLE, tables=HALF),
        "Escalate",
        "reload-not-allowed",
        says="start-replication --",
    ),
    # -- the very first start
    S("first-start-cdc", "3.6", cdc("failed", RECOVERABLE, has_run=False), "Start", "first-start", "replicating"),
    S(
        "first-start-load",
        "3.6",
        load("failed", RECOVERABLE, has_run=False),
        "Start",
        "first-start",
        "loaded",
        policy=RELOADABLE,
    ),
    S(
        "first-start-empties-target",
        "3.6",
        load("failed", RECOVERABLE, has_run=False),
        "Escalate",
        "reload-not-allowed",
        says="drops",
    ),
    S(
        "first-start-truncates-target",
        "3.6",
        both("failed", RECOVERABLE, has_run=False, preparation=Preparation.TRUNCATE),
        "Escalate",
        "reload-not-allowed",
        says="truncates",
    ),
    S(
        "first-start-unprepared",
        "3.6",
        load("failed", RECOVERABLE, has_run=False, preparation=Preparation.DO_NOTHING),
        "Start",
        "first-start",
        "loaded",
    ),
    S("first-start-position-gone", "3.8", cdc("failed", BINLOG, has_run=False), "Escalate", "position-lost"),
    S(
        "serverless-first-start",
        "3.4",
        serverless(CDC, "failed", RECOVERABLE, has_run=False),
        "Start",
        "first-start",
        "replicating",
    ),
    S(
        "start-was-refused",
        "3.6",
        cdc("failed", RECOVERABLE, has_run=False),
        "Escalate",
        "cdc",
        history=History(start_was_refused=True),
        says="no checkpoint",
    ),
    # -- what bounds every restart
    S("restarted-a-minute-ago", "3.8", cdc("failed", RECOVERABLE), "Wait", "backoff", "Resume", history=restarted(1)),
    S(
        "restarted-an-hour-ago",
        "3.8",
        cdc("failed", RECOVERABLE),
        "Resume",
        "cdc",
        "replicating",
        history=restarted(60),
    ),
    S(
        "bound-used-up",
        "3.8",
        cdc("failed", RECOVERABLE),
        "Escalate",
        "max-attempts",
        history=restarted(350, 300, 250, 200, 100),
        says="5 times",
    ),
    S(
        "bound-comes-back",
        "3.8",
        cdc("failed", RECOVERABLE),
        "Resume",
        "cdc",
        "replicating",
        history=restarted(400, 300, 250, 200, 100),
    ),
    S(
        "keeps-coming-back",
        "3.8",
        cdc("failed", RECOVERABLE),
        "Escalate",
        "keeps-coming-back",
        history=restarted(300, 200, 100, came_back=3),
    ),
    S(
        "reload-has-a-bound-too",
        "3.8",
        both("failed", RECOVERABLE, tables=HALF, checkpoint=""),
        "Escalate",
        "max-attempts",
        history=restarted(350, 300, 250, 200, 100, verb=Verb.RELOAD),
        policy=RELOADABLE,
    ),
]
