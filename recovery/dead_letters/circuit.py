"""The circuit of a failure group of a queue: while its messages come back, a few probe and the others wait. Pure.

A circuit is made of what came back, and is unknown until then: a group whose messages stay away costs nothing. It opens
once `opens_after` different messages came back and few of the group stayed away. Open, it lets go what its ramp admits;
a probe that comes back ends the round, and the next one begins after a wait that grows. It closes when all steps of the
ramp are proven, or when nearly all of what was sent since the failures began is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from recovery.backoff import Backoff
from recovery.ramp import STEPS, Passage, RampState, Step, admit

LONGEST_WAIT = timedelta(hours=1)
"""Longest wait before the next round of probes."""
CLOCKS = timedelta(minutes=5)
"""Most by which clocks of workers differ."""
ENOUGH = 10
"""Messages that must have stayed away before the group's own sends, without a probe, say that the cause is gone."""
_REST = len(STEPS)
_UNTRIED = (1, 10)
"""Messages of each step among those of whose failure nothing is known, before the rest."""


@dataclass(frozen=True, slots=True)
class Comeback:
    """A message that came back.

    Attributes:
        work: what stays the same through its comebacks.
        sent: when it had been sent.
        probe: the round of its circuit for which it went, or "".
        elsewhere: it failed for another cause, which passes for nobody: as a probe it says nothing, and another goes.
    """

    work: str
    sent: datetime
    probe: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit as the ledger keeps it.

    Attributes:
        name: fingerprint of the group.
        opened: since when it is open; None: closed.
        closed: when it was closed last: comebacks of earlier sends say nothing.
        since: when the first message that came back had been sent.
        seen: some of the works that came back, until it opens.
        came, stayed: sends since then that came back, and that are proven; probes are not among them.
        round: number of the round of probes.
        step: the step of the ramp under way.
        failed: rounds that came back, one after the other.
        due: when the next probe may go.
        until: when all probes under way will be known.
        kind, error: of the failure; normalised.
        announced: people were notified of its last opening or closing.
        untried: it opened before anything was sent, since nothing says why its messages failed.
        version: of its item in the ledger; 0: not there yet.
    """

    name: str
    opened: datetime | None = None
    closed: datetime | None = None
    since: datetime | None = None
    seen: tuple[str, ...] = ()
    came: int = 0
    stayed: int = 0
    round: int = 0
    step: Step = field(default_factory=Step)
    failed: int = 0
    due: datetime | None = None
    until: datetime | None = None
    kind: str = ""
    error: str = ""
    announced: bool = True
    untried: bool = False
    version: int = 0

    @property
    def is_open(self) -> bool:
        """True while only probes go."""
        return self.opened is not None

    @classmethod
    def of_untried(cls, name: str, now: datetime) -> Circuit:
        """Return the open circuit of messages of whose failure nothing is known: a few go first."""
        return cls(name, opened=now, round=1, due=now, untried=True)

    @property
    def passage(self) -> Passage:
        """The verdict of its ramp."""
        return admit(self.step, self._steps)

    @property
    def _steps(self) -> tuple[int, ...]:
        return _UNTRIED if self.untried else STEPS

    @property
    def mark(self) -> str:
        """The mark of this round's probes; "" while it is closed."""
        return f"{self.name}/{self.round}" if self.is_open else ""

    def after_comebacks(
        self, comebacks: Iterable[Comeback], now: datetime, opens_after: int, backoff: Backoff
    ) -> Circuit:
        """Return the circuit after messages came back: it may open, or end its round.

        Args:
            comebacks: of messages of the group, and of its probes.
            now: the time.
            opens_after: different messages that open it.
            backoff: waits between its rounds.
        """
        circuit = self
        for one in comebacks:
            if one.probe and one.probe == self.mark and one.elsewhere:
                circuit = replace(circuit, step=replace(circuit.step, sent=max(0, circuit.step.sent - 1)))
            elif one.probe and one.probe == self.mark:
                circuit = replace(circuit, step=circuit.step.after(returned=1))
            elif circuit.closed is None or one.sent > circuit.closed:
                seen = circuit.seen
                if not circuit.is_open and one.work not in seen and len(seen) < opens_after:
                    seen = (*seen, one.work)
                since = min(one.sent, circuit.since or one.sent)
                circuit = replace(circuit, came=circuit.came + 1, seen=seen, since=since)
        if not circuit.is_open:
            rest = admit(Step(_REST, circuit.came + circuit.stayed, circuit.stayed, circuit.came))
            if len(circuit.seen) >= opens_after and rest.state is RampState.OPEN:
                begun = replace(circuit, opened=now, announced=False, round=circuit.round + 1, step=Step())
                return replace(begun, untried=False, failed=0, due=now, until=None, seen=())
            return circuit
        if circuit.passage.state is not RampState.OPEN:
            return circuit
        failed = circuit.failed + 1
        wait = min(LONGEST_WAIT, backoff.ceiling(failed))
        return replace(circuit, round=circuit.round + 1, step=Step(), failed=failed, due=now + wait, until=None)

    def after_proofs(self, probes: int, others: int, now: datetime) -> Circuit:
        """Return the circuit after sends were proven: its ramp goes on, or it closes.

        Args:
            probes: of its present round.
            others: of the group that were sent since its failures began.
            now: the time.
        """
        circuit = replace(self, step=self.step.after(proven=probes), stayed=self.stayed + others)
        if not self.is_open:
            return circuit
        passage = circuit.passage
        rest = admit(Step(_REST, circuit.came + circuit.stayed, circuit.stayed, circuit.came))
        if passage.state is RampState.CLOSED or (circuit.stayed >= ENOUGH and rest.state is RampState.CLOSED):
            ended = Circuit(self.name, closed=now, round=self.round, kind=self.kind, error=self.error)
            # Nobody needs to hear of the end who never heard of the beginning.
            return replace(ended, announced=self.untried or not self.announced, version=self.version)
        return replace(circuit, step=passage.step)

    def renewed(self, now: datetime) -> Circuit:
        """Return the circuit with a new round, if probes of the present one should be known by now and are not: a run
        that died with them, or a consumer that takes nothing. Times that a clock far ahead wrote hold nothing up."""
        late = now + CLOCKS
        if not self.is_open:
            return replace(self, closed=now) if self.closed is not None and self.closed > late else self
        is_ahead = (self.opened or now) > late or (self.due or now) > late + LONGEST_WAIT
        is_overdue = self.until is not None and now >= self.until and self.step.awaited > 0
        if not (is_ahead or is_overdue):
            return self
        opened = min(self.opened or now, now)
        return replace(self, opened=opened, round=self.round + 1, step=Step(), due=now, until=None)

    def room(self, now: datetime) -> int | None:
        """Return how many messages may go now; None: all."""
        if not self.is_open:
            return None
        if self.due is not None and now < self.due:
            return 0
        return self.passage.most

    def claimed(self, count: int, until: datetime) -> Circuit:
        """Return the circuit after probes were taken for sending.

        Args:
            count: how many.
            until: when it is known of all of them what came of it.
        """
        return replace(self, step=self.step.after(sent=count), until=max(until, self.until or until))

    def again(self, now: datetime, ahead: int, pause: timedelta) -> datetime:
        """Return when to look at a message again that may not go now.

        Those that no step before will need wait for a later one, so that they are not received in between.

        Args:
            now: the time.
            ahead: messages of the group that wait before it.
            pause: time from the send of a probe until a run has counted it.
        """
        look = max(self.due or now, self.until or now)
        if look <= now:
            look = now + pause
        next_steps = self._steps[self.step.number + (1 if self.step.sent else 0) :]
        for size in next_steps:
            if ahead < 2 * size:
                break
            ahead -= 2 * size
            look += pause
        return look

    def why(self, now: datetime) -> str:
        """Return why messages wait, for a person."""
        group = "messages like it, whose failure nothing explains," if self.untried else "its group"
        since = f"the circuit of {group} is open since {self.opened:%Y-%m-%d %H:%M} UTC" if self.opened else ""
        if self.due is not None and now < self.due:
            return f"{since}: what was sent came back, the next probe goes at {self.due:%H:%M} UTC"
        return f"{since}: {self.passage.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return it as the ledger keeps it (read by `recovery.dead_letters.circuit_item`)."""
        times = {
            "opened": self.opened,
            "closed": self.closed,
            "since": self.since,
            "due": self.due,
            "until": self.until,
        }
        step = self.step
        return {
            **{name: time.isoformat() for name, time in times.items() if time is not None},
            "seen": list(self.seen),
            "came": self.came,
            "stayed": self.stayed,
            "round": self.round,
            "step": [step.number, step.sent, step.proven, step.returned],
            "failed": self.failed,
            "kind": self.kind,
            "error": self.error,
            "announced": self.announced,
            **({"untried": True} if self.untried else {}),
        }
