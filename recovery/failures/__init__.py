"""Diagnosis of failures: evidence in, diagnosis out. Pure: no AWS, no clock, no randomness, no logging.

`diagnose` decides from an error's text; `evidence_for` finds that text by the origin of a dead letter; `fingerprint`
shows which failures are alike; `normalise` is the text that may leave the process.
"""

from recovery.failures.diagnosis import Match, diagnose, explain
from recovery.failures.evidence import evidence_for
from recovery.failures.groups import fingerprint, group_of, normalise
from recovery.failures.logs import LogEvent, LogFinding, LoggedMessage, evidence_from_logs, failures_of
from recovery.failures.masks import mask
from recovery.failures.models import TRANSIENT_KINDS, Diagnosis, Evidence, Kind, is_kind
from recovery.failures.origins import BodyShape, Origin, body_shape, recognise
from recovery.failures.own_rules import load_rules
from recovery.failures.rules import Rule
from recovery.failures.rulesets import DEFAULT_RULES, RuleSet
from recovery.failures.schemas import violates_schema

__all__ = [
    "DEFAULT_RULES",
    "TRANSIENT_KINDS",
    "BodyShape",
    "Diagnosis",
    "Evidence",
    "Kind",
    "LogEvent",
    "LogFinding",
    "LoggedMessage",
    "Match",
    "Origin",
    "Rule",
    "RuleSet",
    "body_shape",
    "diagnose",
    "evidence_for",
    "evidence_from_logs",
    "explain",
    "failures_of",
    "fingerprint",
    "group_of",
    "is_kind",
    "load_rules",
    "mask",
    "normalise",
    "recognise",
    "violates_schema",
]
