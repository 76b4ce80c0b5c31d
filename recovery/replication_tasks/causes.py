"""What the failure text of a replication means for its restart. Pure.

The table below holds only what matters to this path beyond the eight kinds: whether the position is gone, whether a
rest helps, whether one more try is sensible. Everything else is asked of `recovery.failures.diagnose`. Wording varies
with the engine version, so patterns look for tokens, not for sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from recovery.failures import Evidence, Kind, diagnose
from recovery.replication_tasks.models import Facts


class Nature(StrEnum):
    """What a cause means for a restart."""

    PASSING = "passing"  # a restart helps, now
    RESTING = "resting"  # a restart helps after a rest: something must come back first
    PRESSURE = "pressure"  # memory, disk or swap ran short: one restart after a rest, then a person
    UNSURE = "unsure"  # nothing tells: one restart after a rest, then a person
    POSITION_LOST = "position lost"  # change capture cannot go on from where it stopped, ever
    LASTING = "lasting"  # the same restart fails again until a person changes something


@dataclass(frozen=True, slots=True)
class Cause:
    """What was read from the failure.

    Attributes:
        nature: what it means for a restart.
        kind: the diagnosis, for reports.
        rule: id of the pattern, or of the rule of `recovery.failures`, that decided.
        reason: half a sentence for a person, without values from the text.
        next_step: what a person does about it, "" where nothing needs doing.
    """

    nature: Nature
    kind: Kind
    rule: str
    reason: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the table, with a text that it must match."""

    rule: str
    nature: Nature
    kind: Kind
    pattern: re.Pattern[str]
    reason: str
    next_step: str
    example: str


def _pattern(
    rule: str, nature: Nature, kind: Kind, pattern: str, reason: str, next_step: str = "", *, example: str
) -> Pattern:
    return Pattern(rule, nature, kind, re.compile(pattern, re.IGNORECASE), reason, next_step, example)


_CHOOSE = "find out what was missed, then reload the target or create a new task from a position that still exists"

PATTERNS = (
    _pattern(
        "dms-binlog-gone",
        Nature.POSITION_LOST,
        Kind.VALIDATION_ERROR,
        r"\b1236\b.{0,60}(?:bin(?:ary)?[ -]?log|master|source)|bin(?:ary )?log.{0,60}\b(?:purged|\w*truncated)\b"
        r"|could not find first log file",
        "the binary log with its position is gone from the source",
        f"{_CHOOSE}; keep binary logs longer (mysql.rds_set_configuration 'binlog retention hours')",
        example="Error 1236 reading binary log.",
    ),
    _pattern(
        "dms-archived-log-gone",
        Nature.POSITION_LOST,
        Kind.VALIDATION_ERROR,
        r"\bORA-(?:01291|00308)\b|\b(?:archived?|redo)\s(?:redo\s)?logs?\b.{0,80}"
        r"\b(?:missing|not found|does not exist|do not exist|no longer|deleted|purged|unavailable)\b"
        r"|\b(?:missing|cannot find|failed to find)\b.{0,40}\b(?:archived?|redo)\s(?:redo\s)?logs?\b",
        "an archived log with its position is missing on the source",
        f"{_CHOOSE}; keep archived logs longer than the longest stop",
        example="ORA-01291: missing log file",
    ),
    _pattern(
        "dms-slot-gone",
        Nature.POSITION_LOST,
        Kind.VALIDATION_ERROR,
        r"replication slot.{0,90}\b(?:does not exist|missing|not found|invalidated|dropped|lost)\b"
        r"|can no longer (?:get|access) changes from.{0,20}replication slot"
        r"|WAL segment.{0,60}\b(?:already been )?removed\b",
        "the replication slot, or the log that it should have kept, is gone from the source",
        f"{_CHOOSE}; create the slot again first, and bound its lag with max_slot_wal_keep_size",
        example='replication slot "dms_slot_1" does not exist',
    ),
    _pattern(
        "dms-log-truncated",
        Nature.POSITION_LOST,
        Kind.VALIDATION_ERROR,
        r"\b(?:transaction|source)?\s?log\b.{0,40}\b(?:has been|was|is|been)?\s?truncated\b"
        r"|\b(?:LSN|SCN|resume token|oplog)\b.{0,60}\b(?:not found|no longer|too old|invalid|not available|expired)\b"
        r"|failed to access LSN|CappedPositionLost|ChangeStreamHistoryLost",
        "the source has truncated the log that holds its position",
        _CHOOSE,
        example="Failed to access LSN '0000:00' in the backup log sets since log was truncated",
    ),
    _pattern(
        "dms-no-resume-by-time",
        Nature.POSITION_LOST,
        Kind.VALIDATION_ERROR,
        r"resume from timestamp is not supported",
        "this source cannot go on from a time",
        _CHOOSE,
        example="Resume from timestamp is not supported [1020455]",
    ),
    _pattern(
        "dms-source-not-set-up",
        Nature.LASTING,
        Kind.VALIDATION_ERROR,
        r"supplemental[_ ]log|\bARCHIVELOG\b|MS-(?:CDC|REPLICATION) (?:has not been|is not) enabled|\bwal_level\b"
        r"|\bbinlog_(?:format|row_image)\b|binary logging (?:is )?(?:not|disabled)"
        r"|(?:logical )?replication (?:is )?not enabled",
        "the source database is not set up for change capture",
        "set the source up for change capture (supplemental logging, archive log mode, MS-CDC, wal_level or"
        " binlog_format, whichever the text names), then start the task again",
        example="MS-CDC has not been enabled on database 'source'",
    ),
    _pattern(
        "dms-no-tables",
        Nature.LASTING,
        Kind.VALIDATION_ERROR,
        r"no tables were found",
        "its table mapping selects nothing",
        "correct the table mapping or the schema names, then start the task again",
        example="Last Error  No tables were found at task initialization.",
    ),
    _pattern(
        "dms-endpoint-incomplete",
        Nature.LASTING,
        Kind.VALIDATION_ERROR,
        r"\b(?:server name|database name|user ?name|port|password)\b must be (?:supplied|specified|provided)"
        r"|test connection (?:failed|to .{0,60} should be successful)|Test connection .{0,90}should be successful",
        "an endpoint is not set up so that it can be reached",
        "correct the endpoint and run `aws dms test-connection` until it succeeds, then start the task again",
        example="Endpoint initialization failed. Server name must be supplied",
    ),
    _pattern(
        "dms-storage-full",
        Nature.LASTING,
        Kind.DEPENDENCY_FAILURE,
        r"no space left on device|\bdisk (?:is )?full\b|storage[- ](?:is )?full|could not extend file"
        r"|\bORA-0165[0-9]\b",
        "storage is full",
        "give the instance or database that the text names more storage, then resume the task",
        example="could not extend file: No space left on device",
    ),
    _pattern(
        "dms-unsupported",
        Nature.LASTING,
        Kind.VALIDATION_ERROR,
        r"\b(?:is|are) not supported\b|\bunsupported\b",
        "it asks for something that DMS or an endpoint does not support",
        "change the task so that it no longer needs what the text names",
        example="Data type GEOGRAPHY is not supported for the target endpoint",
    ),
    _pattern(
        "dms-license",
        Nature.LASTING,
        Kind.VALIDATION_ERROR,
        r"EXPRESS_LICENSE_LIMITS_REACHED",
        "the licence's limits are reached",
        "move the task to an instance without those limits",
        example="Stop Reason EXPRESS_LICENSE_LIMITS_REACHED",
    ),
    _pattern(
        "dms-credentials",
        Nature.LASTING,
        Kind.AUTH_FAILURE,
        r"\baccess denied\b|\bAccessDenied|\blog(?:in|on) (?:failed|denied)|\bfailed login\b|authentication fail"
        r"|invalid (?:username|user|password|credentials|authorization)|\b(?:permission|privilege)s? (?:denied|missing)"
        r"|insufficient (?:privileges|permissions)"
        r"|\b(?:missing|lacks?|no) (?:the )?(?:\w+ )?(?:privilege|permission|grant)s?\b"
        r"|not authorized|\bORA-(?:01017|01031|28000|28001)\b|\b28P01\b|\b28000\b|account is locked"
        r"|password.{0,20}expired"
        r"|\bKMS\w*(?:Fault|Exception)\b|\bKMS key\b",
        "credentials or grants are refused",
        "correct the endpoint's credentials or the grants that the text names, run `aws dms test-connection` until it"
        " succeeds, then resume the task",
        example="Cannot connect: Access denied for user 'dms'@'10.0.0.7' (using password: YES)",
    ),
    _pattern(
        "dms-pressure",
        Nature.PRESSURE,
        Kind.DEPENDENCY_FAILURE,
        r"STOPPED_DUE_TO_LOW_(?:MEMORY|DISK)|\bout of memory\b|\b(?:swap|memory)\b.{0,30}\blimit\b|\bdisk usage\b"
        r"|low (?:on )?(?:memory|disk)|insufficient (?:memory|disk)",
        "the replication instance ran short of memory, disk or swap",
        "use a larger instance class or storage, or fewer and smaller tables at a time, then resume the task",
        example="Last Error  Replication out of memory. Stop Reason FATAL_ERROR Error Level FATAL",
    ),
    _pattern(
        "dms-gave-up",
        Nature.UNSURE,
        Kind.UNKNOWN,
        r"(?:stopped|suspended) after \d+ (?:\w+ )?(?:recovery|retry) (?:attempts|failures)",
        "DMS gave up after its own recovery attempts",
        "read the task's log; what fails each time is named before the first recovery attempt",
        example="Task 'T1' was stopped after 7 recovery attempts Stop Reason FATAL_ERROR Error Level FATAL",
    ),
    _pattern(
        "dms-connection-lost",
        Nature.RESTING,
        Kind.DEPENDENCY_FAILURE,
        r"\b(?:lost|no|broken) connection\b"
        r"|connection.{0,40}\b(?:lost|refused|reset|closed|dropped|timed? ?out|broken)\b"
        r"|server has gone away|\b(?:could not|cannot|unable to|failed to) (?:connect|reach)|\bnetwork error\b"
        r"|endpoint.{0,40}\b(?:down|unreachable|unavailable|not available)\b|communication link failure"
        r"|\bfail(?:ed )?over\b|\bis (?:starting up|shutting down)\b|terminating connection due to",
        "an endpoint could not be reached",
        "see that the endpoint is up and reachable from the replication instance",
        example="Lost connection to MySQL server during query",
    ),
)
"""Tried in this order; the first match decides. What never passes stands before what does."""

_WAITS = frozenset({Kind.TIMEOUT, Kind.DEPENDENCY_FAILURE, Kind.THROTTLED})
_UNREAD = Cause(
    Nature.UNSURE,
    Kind.UNKNOWN,
    "dms-no-text",
    "DMS gives no failure text",
    "read the task's log in CloudWatch Logs",
)


def cause_of(facts: Facts) -> Cause:
    """What made this replication fail; it must have failed or stopped in error."""
    text = facts.failure
    if facts.stop_reason != text and facts.stop_code:
        # Of a stop reason beside the failure only its own word: the rest may be the text of an earlier failure.
        text = f"{text} Stop Reason {facts.stop_code}".strip()
    if not text:
        return _UNREAD
    for pattern in PATTERNS:
        if pattern.pattern.search(text):
            return Cause(pattern.nature, pattern.kind, pattern.rule, pattern.reason, pattern.next_step)
    diagnosis = diagnose(Evidence(error=text, source="dms"))
    reason = diagnosis.reason.rstrip(".") or "its failure text does not tell the cause"
    if diagnosis.kind is Kind.UNKNOWN:
        if facts.is_recoverable:
            return Cause(
                Nature.PASSING, Kind.DEPENDENCY_FAILURE, "dms-recoverable", "DMS calls the failure recoverable"
            )
        step = "read the failure text and the task's log; a rule for it can be added"
        return Cause(Nature.UNSURE, Kind.UNKNOWN, diagnosis.rule, "its failure text does not tell the cause", step)
    if diagnosis.kind in _WAITS:
        # DMS has retried what it calls recoverable for a while already, so that rest has been given.
        nature = Nature.PASSING if facts.is_recoverable else Nature.RESTING
        return Cause(nature, diagnosis.kind, diagnosis.rule, reason)
    step = "mend what the text names (credentials, grants, mapping, data), then start the task again"
    return Cause(Nature.LASTING, diagnosis.kind, diagnosis.rule, reason, step)
