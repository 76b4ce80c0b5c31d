"""Queues, alarms and log groups as AWS describes them. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, field_validator

from recovery.consumers.models import Consumer
from recovery.scope import EstateName


class DiscoverRequest(BaseModel):
    """The queues to look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[str, ...] = Field(
        ("*",),
        max_length=200,
        title="Queues",
        description="Names or globs (orders-*) of dead-letter queues; all of the account and region unless named.",
    )
    estate: EstateName = None

    @field_validator("queues", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue.

    Attributes:
        name, arn: as SQS gives them.
        visible, hidden: messages in it, about.
        retention_seconds: time for which it keeps a message.
        visibility_seconds: time for which a received message is hidden.
        dead_arn: ARN of its dead-letter queue, or "".
        max_receives: receives after which a message is moved there; 0 without one.
        admits: "allowAll", "denyAll" or "byQueue": which queues may move messages here.
        admitted: ARNs of those that may, where it is "byQueue".
    """

    name: str
    arn: str
    visible: int = 0
    hidden: int = 0
    retention_seconds: int = 345_600
    visibility_seconds: int = 30
    dead_arn: str = ""
    max_receives: int = 0
    admits: str = "allowAll"
    admitted: Sequence[str] = ()

    @property
    def fifo(self) -> bool:
        """True for a FIFO queue."""
        return self.name.endswith(".fifo")


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch alarm on a queue.

    Attributes:
        name: its name.
        metric: the metric that it watches.
        notifies: it is switched on and has somebody to notify.
    """

    name: str
    metric: str
    notifies: bool = True


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A log group.

    Attributes:
        name: its name.
        exists: False when there is none.
        retention_days: days for which it keeps lines; None for ever.
        log_class: "STANDARD", "INFREQUENT_ACCESS" or "DELIVERY".
    """

    name: str
    exists: bool = True
    retention_days: int | None = None
    log_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """A queue whose messages die into the dead-letter queue.

    Attributes:
        queue: the queue.
        consumers: its event source mappings; None when nobody could ask.
        log_groups: of its consumers, by name.
    """

    queue: QueueFacts
    consumers: Sequence[Consumer] | None = ()
    log_groups: Sequence[LogGroup] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """A dead-letter queue and all that belongs to it.

    Attributes:
        queue: the dead-letter queue.
        exists: False when a source names it and it is not there.
        sources: queues whose messages die into it.
        consumers: event source mappings of the dead-letter queue itself.
        alarms: None when nobody could ask.
        oldest_seconds: age of its oldest message; None when unknown.
    """

    queue: QueueFacts
    exists: bool = True
    sources: Sequence[SourceSetup] = ()
    consumers: Sequence[Consumer] = ()
    alarms: Sequence[Alarm] | None = ()
    oldest_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a set-up.

    Attributes:
        rule: its id.
        text: one sentence on what is wrong, and what to change.
    """

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One dead-letter queue in the survey.

    Attributes:
        setup: the queue and all that belongs to it.
        evidence: where the reason of a failure will be found, or why not.
        found: evidence will be found.
        faults: what is wrong with the set-up.
        log_group: to name in the queue's policy, or "".
    """

    setup: Setup
    evidence: str
    found: bool
    faults: Sequence[Fault] = ()
    log_group: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """All dead-letter queues.

    Attributes:
        rows: by name.
        problems: what could not be read.
        orphans: queues that are nobody's dead-letter queue and are named like one.
    """

    rows: Sequence[Row] = ()
    problems: Sequence[str] = ()
    orphans: Sequence[QueueFacts] = field(default=())
