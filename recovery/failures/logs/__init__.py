"""A consumer's log, read as what it is: records with a level, an order and an owner. Pure."""

from recovery.failures.logs.findings import NOTHING, LogFinding, evidence_from_logs, failures_of
from recovery.failures.logs.messages import LoggedMessage
from recovery.failures.logs.owners import Link
from recovery.failures.logs.records import Level, LogEvent, Record

__all__ = [
    "NOTHING",
    "Level",
    "Link",
    "LogEvent",
    "LogFinding",
    "LoggedMessage",
    "Record",
    "evidence_from_logs",
    "failures_of",
]
