"""The outbox path's forms: the request, the names of the table's attributes, and the policy.

These models are the form in the UI.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from recovery.backoff import Backoff
from recovery.errors import BadInput
from recovery.scope import DryRun, EstateName, Runbooks

# DynamoDB's limit; a double quote would end the name in a PartiQL statement.
AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r'^[^"]+$')]
OptionalName = Annotated[str, StringConstraints(max_length=255, pattern=r'^[^"]*$')]

TOPIC_PATTERN = r"^(|arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?)$"
LEASE_MARGIN_SECONDS = 40
"""Nothing is sent on a lease with less left: longer than one request may take (5 s to connect, 30 s to answer)."""


class Mode(StrEnum):
    """Modes of a run."""

    DELIVER = "deliver"  # publish what is due
    FIND_LOST = "find_lost"  # put rows in line that nobody put there
    REVIVE = "revive"  # give exhausted rows all attempts again, after a person has fixed the cause


class ExhaustedHead(StrEnum):
    """Effect of an exhausted row at the head of a FIFO group on the rows behind it."""

    HOLD = "hold"  # they wait until a person has decided about the head
    SKIP = "skip"  # they go out without it


class RowNames(BaseModel):
    """The names of the table's attributes. The defaults fit items with `message` and `status`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: OptionalName = Field("", description="Partition key of the table. Empty: as the table says.")
    sort_key: OptionalName = Field("", description="Sort key of the table. Empty: as the table says.")
    message: AttributeName = Field("message", description="The message: a string as it stands, anything else as JSON.")
    status: AttributeName = Field("status", description="None or Pending, InFlight, Successful, Failure, Exhausted.")
    created: OptionalName = Field(
        "created_at",
        description="Time of writing: ISO 8601, or seconds or milliseconds since 1970. A row without it is"
        " taken as lost when two searches have seen it. Empty: no row has a time.",
    )
    attributes: tuple[AttributeName, ...] = Field(
        (),
        description="Row attributes that become message attributes under the same name; the entries of a map become"
        " one each.",
    )
    subject: OptionalName = Field("", description="Row attribute with the subject. Empty: none.")
    group: OptionalName = Field("", description="Row attribute with the message group id; a FIFO topic needs it.")
    deduplication: OptionalName = Field(
        "", description="Row attribute with the deduplication id of a FIFO topic. Empty: a hash of table and row key."
    )
    sequence: OptionalName = Field(
        "", description="Row attribute that orders the rows of a group, the sort key of the group index."
    )
    line: AttributeName = Field("outbox_line", description="Partition key of the index: Unfinished#0 to #7, sparse.")
    next_attempt: AttributeName = Field(
        "outbox_next_attempt",
        description="Sort key of the index: when the row is due, or its lease ends, in seconds since 1970.",
    )
    group_line: AttributeName = Field(
        "outbox_group", description="Partition key of the group index: the group id while the row is unfinished."
    )
    attempts: AttributeName = Field("outbox_attempts", description="Attempts so far.")
    claim: AttributeName = Field("outbox_claim", description="Owner of a row in flight.")
    error: AttributeName = Field("outbox_error", description="The last error, without values.")
    kind: AttributeName = Field("outbox_error_kind", description="The kind of the last error.")
    message_id: AttributeName = Field("outbox_message_id", description="The id that SNS gave the message.")
    expires: AttributeName = Field("outbox_expires", description="TTL of finished rows, in seconds since 1970.")
    seen: AttributeName = Field(
        "outbox_seen", description="Time at which a search first saw a row that has neither time nor status."
    )
    row_id: AttributeName = Field(
        "outbox_row_id", description="Message attribute that carries the row's key, so that a duplicate can be dropped."
    )

    @model_validator(mode="after")
    def _own_names_are_distinct(self) -> RowNames:
        own = [
            self.message,
            self.status,
            self.line,
            self.next_attempt,
            self.group_line,
            self.attempts,
            self.claim,
            self.error,
            self.kind,
            self.message_id,
            self.expires,
            self.seen,
        ]
        double = sorted({name for name in own if own.count(name) > 1})
        if double:
            raise ValueError(f"one attribute cannot have two meanings: {', '.join(double)}")
        return self


class OutboxPolicy(BaseModel):
    """Policy of the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = Field(10, ge=1, le=100, description="Attempts before a row is Exhausted.")
    backoff: Backoff = Field(
        # Not a factory: the form in the UI shows this object, and would show Backoff's own defaults without it.
        Backoff(base_seconds=30, factor=2, cap_seconds=3600),
        description="Wait after each failed attempt: 30 s, 1 min, 2 min ... up to 1 h unless changed.",
    )
    max_message_bytes: int = Field(
        262_144,
        ge=1_024,
        le=1_048_576,
        description="Most bytes of a message and of a batch: the topic's MaximumMessageSize.",
    )
    most_attributes: int = Field(
        10,
        ge=1,
        le=100,
        description="A row with more message attributes is Exhausted: a subscription with raw delivery would discard"
        " its message. Raise it only where none has raw delivery.",
    )
    messages_per_second: float = Field(
        1_000, gt=0, le=100_000, description="Most messages published a second; also when a closed circuit lets go."
    )
    exhausted_head: ExhaustedHead = Field(
        ExhaustedHead.HOLD,
        title="Exhausted head of a group",
        description="FIFO: what an exhausted row does to the rows of its group.",
    )
    fifo_settle_seconds: float = Field(
        1,
        ge=0,
        le=60,
        description="FIFO: a row younger than this waits, so that the index (eventually consistent) shows what is"
        " before it.",
    )
    lease_seconds: int = Field(300, ge=90, le=3_600, description="Seconds for which a claim keeps other workers away.")
    grace_seconds: int = Field(
        0,
        ge=0,
        le=86_400,
        description="For a table whose service also publishes by itself: how long it has before we do.",
    )
    lost_after_seconds: int = Field(
        300, ge=0, le=604_800, description="A row without a status that is older than this (and the grace) is lost."
    )
    horizon_seconds: int = Field(
        86_400,
        ge=3_600,
        le=31_536_000,
        description="A next attempt further away than this is a clock in the future: the row is due now.",
    )
    scan_segments: int = Field(4, ge=1, le=64, description="Segments of the search for lost rows.")
    scan_units_per_second: float = Field(
        200, gt=0, le=100_000, description="Most read units a second of the search for lost rows (8 KB each)."
    )
    finished_days: int = Field(
        7, ge=0, le=3_650, description="Days until TTL removes a finished row; 0: rows are kept."
    )
    probe_seconds: int = Field(60, ge=0, le=3_600, description="Least time between two probes of an open circuit.")
    calm_seconds: int = Field(
        300,
        ge=0,
        le=86_400,
        description="A circuit has stayed closed for so long when people are notified: one that opens and closes is one"
        " trouble.",
    )
    throttled_seconds: int = Field(
        300,
        ge=30,
        le=86_400,
        description="The topic's circuit opens when SNS throttles for so long without taking anything.",
    )
    opens_after: int = Field(
        3, ge=1, le=100, description="Publishes in a row without a readable answer that open the circuit."
    )
    runbooks: Runbooks = Field(default_factory=dict)
    alert_window_seconds: int = Field(
        86_400, ge=60, le=2_592_000, description="A group of failures is announced once in this time."
    )

    @model_validator(mode="after")
    def _backoff_is_before_the_horizon(self) -> OutboxPolicy:
        longest = max(self.backoff.cap_seconds, self.lease_seconds, self.grace_seconds)
        if self.horizon_seconds <= longest:
            raise ValueError("horizon_seconds must be longer than the longest backoff, the lease and the grace")
        return self


class OutboxRequest(BaseModel):
    """The request of a run of the outbox path. Nothing named, nothing touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)] = Field(
        "", description="Name of the DynamoDB table."
    )
    topic_arn: Annotated[str, StringConstraints(strip_whitespace=True, pattern=TOPIC_PATTERN)] = Field(
        "", title="Topic ARN", description="ARN of the SNS topic, in the table's region. A FIFO topic ends in .fifo."
    )
    mode: Mode = Field(Mode.DELIVER, description="deliver what is due, find_lost rows, or revive exhausted ones.")
    dry_run: DryRun = True
    index: AttributeName = Field("outbox-due", description="Name of the sparse index over unfinished rows.")
    group_index: AttributeName = Field("outbox-groups", description="Name of the index by group, for a FIFO topic.")
    shards: int = Field(8, ge=1, le=50, description="Partitions of the index: Unfinished#0 to one less than this.")
    names: RowNames = Field(
        default_factory=lambda: RowNames(), title="Attribute names", description="Names of the table's attributes."
    )
    policy: OutboxPolicy = Field(
        default_factory=lambda: OutboxPolicy(), title="Policy", description="Policy of the rows."
    )
    circuit_alarm: Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)] = Field(
        "", description="A CloudWatch alarm that opens the topic's circuit while it is in ALARM. Empty: none."
    )
    rows: tuple[str, ...] = Field(
        (), max_length=1_000, description="revive: ids of the rows (as reports show them). Empty: all exhausted rows."
    )
    limit: int = Field(100_000, ge=1, le=10_000_000, description="Most rows that one run takes up.")
    time_limit_seconds: int = Field(240, ge=10, le=86_400, description="Nothing new is begun after this.")
    estate: EstateName = None

    @property
    def is_fifo(self) -> bool:
        """True when the topic keeps the order of its groups."""
        return self.topic_arn.endswith(".fifo")

    @property
    def subject(self) -> str:
        """The subject of a run, for its name."""
        return self.table or "no table named"

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return f"{self.mode.value.replace('_', ' ')} {self.subject}"

    def check(self, region: str) -> None:
        """Refuse a request that makes no sense.

        Args:
            region: where the run works.

        Raises:
            BadInput: a table without a topic, or the topic is somewhere else.
        """
        if not self.table:
            return  # nothing named, nothing touched: a schedule of a deployment that nobody has filled in stays quiet
        if not self.topic_arn:
            raise BadInput(f"topic_arn: no topic is named for the table {self.table!r}, so nothing is touched")
        where = self.topic_arn.split(":")[3]
        if region and where != region:
            raise BadInput(
                f"topic_arn: the topic is in {where}, and this run works in {region}: name a topic of this region, or"
                f" an estate whose credentials name {where}"
            )
