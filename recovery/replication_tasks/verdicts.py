"""Verdicts on one replication: values with a rule and a reason that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recovery.replication_tasks.models import Verb
from recovery.replication_tasks.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict, with its rule (a sentence of docs/paths/replication_tasks.md) and a reason for people."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Verdict):
    """Start it for the first time."""

    verb = Verb.START


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Verdict):
    """Go on from where it stopped."""

    verb = Verb.RESUME


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload(Verdict):
    """Load all tables again; the target's data is dropped, truncated or loaded over."""

    verb = Verb.RELOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadTables(Verdict):
    """Load just these tables again, while the replication runs."""

    verb = Verb.RELOAD_TABLES
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Verdict):
    """Nothing now; the next run after `until` decides again.

    Attributes:
        until: when.
        watches: a restart of this path is being watched.
        unchanged: its case stays as it is.
        foreign: another run has it, and writes its case.
    """

    until: datetime
    watches: bool = False
    unchanged: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Verdict):
    """Nothing is wrong, or nothing that this path may touch.

    Attributes:
        recovered: an incident has ended well.
        since: the start that lasted, where it is known.
        gone: it does not exist any more.
    """

    recovered: bool = False
    since: datetime | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate(Verdict):
    """A person is notified, once for the incident, with what to do."""

    next_step: str


Action = Start | Resume | Reload | ReloadTables
AnyVerdict = Action | Wait | Leave | Escalate
