"""Everything that one decision is made from. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from recovery.replication_tasks.lag import LAGS, Slow, slow
from recovery.replication_tasks.models import FAILED, RUNNING, STOPPED, Facts, History
from recovery.replication_tasks.refusals import Refusal
from recovery.replication_tasks.verdicts import Action
from recovery.replication_tasks.verify import Outcome, Proof


class Obstacle(StrEnum):
    """Something that was met on the way from a verdict to DMS."""

    DAMAGED = "the ledger's case of it cannot be read"
    GONE = "DMS does not know it any more"
    MOVED_ON = "DMS shows it otherwise than when it was decided"
    CHANGING = "it kept moving on"
    CLAIMED = "another run is taking care of it"
    CROWDED = "its instance has enough starts in this run"
    TIME_IS_UP = "the run's time limit was reached"
    STATE = "DMS does not take it in this state"
    START_TYPE = "DMS does not take this start type for it"
    REFUSED = "DMS refuses the call"


@dataclass(frozen=True, slots=True)
class Met:
    """An obstacle that was met.

    Attributes:
        obstacle: its kind.
        words: of DMS, normalised, or the place of a damaged case.
        wanted: the action that met it.
    """

    obstacle: Obstacle
    words: str = ""
    wanted: Action | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """One replication at one moment, with everything that decides.

    Attributes:
        facts: DMS's view of it.
        history: the ledger's memory of it.
        proof: of the last restart, while that is watched.
        refusal: of the last call of this incident, if DMS refused it for good.
        given_up: the reason for which restarting was given up; "" while it was not.
        findings: what DMS calls no failure counts, too.
        known: the finding for which its open incident stands, or "".
        latency_seconds, quiet_seconds: of the policy.
        is_known: the ledger has a case of it.
        is_open: that case's incident is not over.
        met: the obstacle to the last verdict of this run.
    """

    facts: Facts
    history: History = field(default_factory=History)
    proof: Proof | None = None
    refusal: Refusal | None = None
    given_up: str = ""
    findings: bool = False
    known: str = ""
    latency_seconds: float = 900
    quiet_seconds: float = 3_600
    is_known: bool = False
    is_open: bool = False
    met: Met | None = None

    @property
    def is_settled(self) -> bool:
        """True when the proof of the last restart settles what this run does."""
        return self.proof is not None and self.proof.outcome in _SETTLES

    @property
    def needs_something(self) -> bool:
        """True when something is wrong with it. Of what runs, the statistics count: `TablesErrored` may lag behind."""
        if self.facts.status != RUNNING:
            return has_failed(self.facts)
        if self.findings and (self.facts.tables_unequal or self.slow):
            return True
        return bool(self.facts.tables_set_aside) or (not self.is_known and self.facts.errored > 0)

    @property
    def slow(self) -> Slow | None:
        """The finding that CloudWatch shows of one that runs, or None."""
        if self.facts.status != RUNNING or self.facts.lag is None:
            return None
        return slow(self.facts.lag, self.latency_seconds, self.quiet_seconds, self.known)

    @property
    def is_unknown(self) -> bool:
        """True when CloudWatch does not show whether what people were notified of goes on."""
        return self.findings and self.facts.status == RUNNING and self.known in LAGS and self.facts.lag is None

    @property
    def is_over(self) -> bool:
        """True when an open incident has ended without a restart of ours."""
        return self.is_open and not self.is_settled and not self.needs_something


_SETTLES = frozenset({Outcome.RECOVERED, Outcome.WATCHED, Outcome.STALLED, Outcome.TAKEN_OVER})


def has_failed(facts: Facts) -> bool:
    """True when something is wrong with it by what the list of replications shows; a failure text may be missing."""
    return bool(facts.failure) or facts.status in {FAILED, "failed-move"} or _has_errors(facts)


def _has_errors(facts: Facts) -> bool:
    # A load that ended with tables in error is "stopped" as one that ended well.
    if facts.status == STOPPED and facts.migration.loads:
        return bool(facts.tables_set_aside) if facts.tables else facts.errored > 0
    return facts.status == RUNNING and facts.errored > 0
