"""The recovery paths, as each declares itself. Pure.

A path that is not declared here has no title, no metrics, no share in the digest and no histories: tests fail for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Path(StrEnum):
    """Names of the paths: of their folder, their flow module and their page."""

    DEAD_LETTERS = "dead_letters"
    OUTBOX_RECORDS = "outbox_records"
    REPLICATION_TASKS = "replication_tasks"
    APPFLOW_RUNS = "appflow_runs"


@dataclass(frozen=True, slots=True)
class Counts:
    """Metrics that a path counts.

    Attributes:
        done: metric name and the settled actions that it counts; by path, kind and source.
        kinds: the same, by kind only: the path gives the exact numbers itself.
        own: names of the numbers that the path gives itself (`RecoveryReport.numbers`); by path and source.
        exhausted: `Exhausted` counts items whose attempts are used up.
        recovers: the path proves that what it brought back has stayed away.
    """

    done: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kinds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    exhausted: bool = True
    recovers: bool = True


@dataclass(frozen=True, slots=True)
class PathInfo:
    """A path's declaration.

    Attributes:
        name: see `Path`.
        label: its name within a sentence.
        answers: actions that answer one failure each; an item that only waits or is left is inspected again and again.
        named: its items bear names that people gave them; elsewhere a key is an id, and the source says more.
        counts: its metrics.
        key: key of its report on the Artifacts page.
        due_event: name of the event with which the relay starts it when an attempt falls due; "" where its own source
            keeps the time.
    """

    name: str
    label: str
    answers: frozenset[str]
    counts: Counts
    named: bool = False
    key: str = ""
    due_event: str = ""

    @property
    def title(self) -> str:
        """The heading of its report."""
        return self.label[0].upper() + self.label[1:]

    @property
    def artifact(self) -> str:
        """The key of its report on the Artifacts page: stable over runs, so that the page shows a history."""
        return self.key or self.name.replace("_", "-")


_RESTARTS = frozenset({"start", "resume", "reload", "reload tables"})
_RERUNS = frozenset({"rerun", "twin", "reactivate"})

APPFLOW_RUNS = PathInfo(
    name=Path.APPFLOW_RUNS,
    label="AppFlow runs",
    answers=_RERUNS | {"escalate"},
    counts=Counts(done={"Reruns": _RERUNS, "Escalated": frozenset({"escalate"})}),
    named=True,
    due_event="reprise.appflow.run.due",
)
DEAD_LETTERS = PathInfo(
    name=Path.DEAD_LETTERS,
    label="dead letters",
    answers=frozenset({"heal", "archive", "alert"}),
    counts=Counts(
        done={
            "Healed": frozenset({"heal"}),
            "Archived": frozenset({"archive"}),
            "Alerted": frozenset({"alert"}),
            "Replayed": frozenset({"replay"}),
        },
        own=("VisibleDeadLetters",),
    ),
)
OUTBOX_RECORDS = PathInfo(
    name=Path.OUTBOX_RECORDS,
    label="outbox records",
    answers=frozenset({"retry", "exhaust"}),
    counts=Counts(
        kinds={"OutboxFailed": frozenset({"retry"}), "OutboxExhausted": frozenset({"exhaust"})},
        own=(
            "OutboxPublished",
            "OutboxFailed",
            "OutboxExhausted",
            "OutboxOldestUnfinished",
            "OutboxCircuitOpen",
            "OutboxLost",
        ),
        exhausted=False,
        recovers=False,
    ),
)
REPLICATION_TASKS = PathInfo(
    name=Path.REPLICATION_TASKS,
    label="replication tasks",
    answers=_RESTARTS | {"escalate"},
    counts=Counts(done={"Restarts": _RESTARTS, "Escalated": frozenset({"escalate"})}),
    named=True,
    due_event="reprise.dms.task.due",
)

PATHS: Mapping[str, PathInfo] = {
    path.name: path for path in (DEAD_LETTERS, OUTBOX_RECORDS, REPLICATION_TASKS, APPFLOW_RUNS)
}

UNKNOWN = PathInfo(name="", label="unknown path", answers=frozenset(), counts=Counts(exhausted=False))
"""Stands for a path of another version, whose reports and days may still be in the ledger."""


def info(path: str) -> PathInfo:
    """Return a path's declaration; `UNKNOWN` for one that is not declared."""
    return PATHS.get(path, UNKNOWN)


DONE: Mapping[str, str] = {
    # dead letters
    "heal": "healed",
    "alert": "parked",
    "archive": "archived",
    "leave": "left",
    "replay": "replayed",
    # outbox records
    "deliver": "published",
    "retry": "to be retried",
    "exhaust": "exhausted",
    "wait": "waiting",
    "tidy": "tidied up",
    "list": "listed as exhausted",
    "group": "put into their group",
    "enlist": "queued",
    "notice": "noticed",
    "keep": "kept from expiring",
    "revive": "revived",
    "pass": "passed over",
    # replication tasks and AppFlow runs
    "start": "started",
    "resume": "resumed",
    "reload": "reloaded",
    "reload tables": "with tables reloaded",
    "rerun": "rerun",
    "twin": "rerun by a twin",
    "reactivate": "reactivated",
    "escalate": "escalated",
    "watch": "watched",
    "recovered": "recovered",
}
"""Participles of all paths' actions: verdicts name actions as data ("heal"), people read what became of the items."""


def done(action: str) -> str:
    """Return an action's participle; the action itself where a later version added it."""
    return DONE.get(action, action)


_MEANING: Mapping[str, str] = {
    "alert": "safe in the archive until a person acts",
    "archive": "safe in the archive, taken out of the queue",
    "leave": "not touched",
    "heal": "sent back to be processed again",
    "escalate": "a person was notified",
    "watch": "looked at again by a later run",
}


def meaning(action: str) -> str:
    """Return an explanation of a participle that a new reader could take for something else; "" for the others."""
    return _MEANING.get(action, "")


def counts(by_action: Mapping[str, int]) -> str:
    """Return settled items by what became of them, as "46 healed, 12 parked"; "" for none."""
    return ", ".join(f"{count} {done(action)}" for action, count in sorted(by_action.items()))
