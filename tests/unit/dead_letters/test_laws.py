"""Laws of every decision, whatever the facts.

Generating facts costs far more than deciding on them, so each law is tried on the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recovery.backoff import Backoff
from recovery.cases import State
from recovery.dead_letters.actions import Action, WithoutEvidence
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.rules import (
    LEASE_MARGIN,
    LONGEST_DELAY,
    LONGEST_HIDE,
    MOST_HIDDEN,
    TRIES,
    decide,
)
from recovery.dead_letters.situation import Known, Unconfirmed
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave, Verdict
from recovery.failures import Kind, Origin
from tests.unit.dead_letters.samples import (
    GROUP,
    NOW,
    SOURCE_URL,
    case,
    diagnosis,
    fifo_queue,
    known,
    message,
    queue,
    seconds,
)

FIFO_URL = SOURCE_URL + ".fifo"
QUEUE_ORIGINS = (Origin.SQS_REDRIVE, Origin.UNKNOWN)

actions = st.sampled_from(Action)


@st.composite
def policies(jitter: st.DrawFn) -> DeadLetterPolicy:
    base = jitter(st.floats(1, 86_400))
    return DeadLetterPolicy(
        heal=jitter(st.booleans()),
        max_attempts=jitter(st.integers(1, 20)),
        backoff=Backoff(
            base_seconds=base, factor=jitter(st.floats(1, 100)), cap_seconds=jitter(st.floats(base, 1_209_600))
        ),
        actions=jitter(st.dictionaries(st.sampled_from(Kind), actions, max_size=3)),
        rule_actions=jitter(st.dictionaries(st.just("http.504"), actions, max_size=1)),
        group_actions=jitter(st.dictionaries(st.just(GROUP), actions, max_size=1)),
        max_age_seconds=jitter(st.none() | st.integers(60, 1_209_600)),
        sweep_seconds=jitter(st.integers(30, 86_400)),
        without_evidence=jitter(st.sampled_from(WithoutEvidence)),
    )


@st.composite
def facts(jitter: st.DrawFn) -> Known:
    fifo = jitter(st.booleans())
    retention = timedelta(seconds=jitter(st.integers(60, 1_209_600)))
    lies_in = (fifo_queue if fifo else queue)(has_redrive=jitter(st.booleans()), retention=retention)
    history = jitter(
        st.none()
        | st.builds(
            lambda state, attempts, due: case(
                state, attempts=attempts, due=None if due is None else NOW + seconds(due)
            ),
            st.sampled_from([State.SENT, State.BACK, State.BACKOFF, State.SUPERSEDED, State.REPLAYED]),
            st.integers(0, 25),
            st.none() | st.integers(-100_000, 1_300_000),
        )
    )
    unconfirmed = jitter(
        st.none() | st.builds(Unconfirmed, st.integers(1, 25), st.integers(1, 5), st.booleans(), st.booleans())
    )
    if unconfirmed is not None and not unconfirmed.same_message:
        assume(not unconfirmed.sent)  # a copy is only known while its send is unconfirmed
    diagnosed = jitter(st.none() | st.sampled_from(Kind))
    return known(
        message=message(
            age=timedelta(seconds=jitter(st.integers(0, 1_300_000))),
            lease_until=NOW + timedelta(seconds=jitter(st.integers(-10, 40_000))),
            origin=jitter(st.sampled_from(Origin)),
        ),
        queue=lies_in,
        diagnosis=None if diagnosed is None else diagnosis(diagnosed),
        group="" if diagnosed is None else GROUP,
        history=history,
        unconfirmed=unconfirmed,
        destination=jitter(st.sampled_from(["", FIFO_URL if fifo else SOURCE_URL, FIFO_URL])),
        hidden=jitter(st.sampled_from([0, MOST_HIDDEN - 1, MOST_HIDDEN])),
        follows=fifo and jitter(st.booleans()),
        evidence_pending=jitter(st.sampled_from(["", "the log is not there yet"])),
    )


def attempt_of(verdict: Verdict) -> int:
    return verdict.attempt if isinstance(verdict, Heal | Hide) else 0


@dataclass(frozen=True)
class Decision:
    """A verdict, and what it was made from."""

    what: Known
    policy: DeadLetterPolicy
    verdict: Verdict

    @property
    def waits(self) -> bool:
        return (
            self.what.history is not None
            and self.what.history.state is State.BACKOFF
            and self.what.history.due is not None
        )

    @property
    def held(self) -> bool:
        return self.what.message.lease_until - NOW >= LEASE_MARGIN


def a_decision_has_a_reason(made: Decision) -> None:
    """Every verdict is one of six, and says why."""
    assert isinstance(made.verdict, AlertVerdict | ArchiveVerdict | Finish | Heal | Hide | Leave)
    assert made.verdict.reason.strip()


def no_send_exceeds_the_bound_or_the_tries(made: Decision) -> None:
    """A send is at most attempt `max_attempts`, at most in its third try, and the one after all attempts before."""
    verdict, what = made.verdict, made.what
    if isinstance(verdict, Heal):
        assert 1 <= verdict.attempt <= made.policy.max_attempts
        assert 1 <= verdict.tries <= TRIES
        if what.unconfirmed is None and what.history is not None:
            assert verdict.attempt == what.history.attempts + 1


def only_what_may_be_sent_is_sent(made: Decision) -> None:
    """A message is sent only to a queue that is known, from a queue, where the policy heals, and with evidence."""
    verdict, what = made.verdict, made.what
    if isinstance(verdict, Heal | Hide):
        assert what.diagnosis is not None or made.waits
    if isinstance(verdict, Heal):
        assert verdict.destination == what.destination != ""
        assert what.message.origin in QUEUE_ORIGINS
        assert made.policy.heal


def nothing_is_done_when_the_lease_is_about_to_end(made: Decision) -> None:
    """Another run may hold the message soon, so this one leaves it."""
    if not made.held:
        assert isinstance(made.verdict, Leave)


def nothing_is_hidden_too_long(made: Decision) -> None:
    """Hidden: 11 hours at most, never past its due time, and never so long that its queue may drop it first."""
    verdict, what = made.verdict, made.what
    if isinstance(verdict, Hide) and verdict.hidden:
        assert verdict.until - NOW <= LONGEST_HIDE
        assert verdict.until <= verdict.due
        assert verdict.until + 2 * timedelta(seconds=made.policy.sweep_seconds) < what.message.expires_at(what.queue)
        assert not what.queue.has_redrive
        assert what.hidden < MOST_HIDDEN


def a_message_rests_at_least_half_its_wait(made: Decision) -> None:
    """A new attempt waits at least half of its backoff, or SQS's longest delay where the queue cannot hide it."""
    verdict, what = made.verdict, made.what
    begun = what.unconfirmed is not None and what.unconfirmed.same_message
    if made.waits or begun or what.follows or not isinstance(verdict, Heal | Hide):
        return
    half = made.policy.backoff.ceiling(verdict.attempt) / 2
    rest = verdict.delay if isinstance(verdict, Heal) else verdict.due - NOW
    if isinstance(verdict, Heal) and (what.queue.fifo or what.destination.endswith(".fifo")):
        assert half < seconds(1)  # SQS takes no delay there, and a wait that short is not worth hiding it
    else:
        assert rest >= min(half, LONGEST_DELAY) - timedelta(microseconds=2)


def delays_are_what_sqs_takes(made: Decision) -> None:
    """A send asks for no delay beyond 15 minutes."""
    if isinstance(made.verdict, Heal):
        assert timedelta(0) <= made.verdict.delay <= LONGEST_DELAY


def a_message_that_waits_is_not_sent_early(made: Decision) -> None:
    """Before its due time a waiting message is never sent: at most it is archived, because it would expire."""
    history = made.what.history
    if made.waits and history is not None and history.due is not None and history.due > NOW:
        assert not isinstance(made.verdict, Heal)
        if isinstance(made.verdict, Hide):
            assert made.verdict.due == history.due


def what_expires_soon_is_never_kept_waiting(made: Decision) -> None:
    """Retention rescue: a message that its queue drops before the next two runs does not stay there."""
    soon = made.what.message.expires_at(made.what.queue) - NOW < 2 * timedelta(seconds=made.policy.sweep_seconds)
    if soon and made.held:
        assert isinstance(made.verdict, ArchiveVerdict | Finish)


LAWS: tuple[Callable[[Decision], None], ...] = (
    a_decision_has_a_reason,
    no_send_exceeds_the_bound_or_the_tries,
    only_what_may_be_sent_is_sent,
    nothing_is_done_when_the_lease_is_about_to_end,
    nothing_is_hidden_too_long,
    a_message_rests_at_least_half_its_wait,
    delays_are_what_sqs_takes,
    a_message_that_waits_is_not_sent_early,
    what_expires_soon_is_never_kept_waiting,
)


@settings(max_examples=250)
@given(facts(), policies(), st.floats(0, 1), st.floats(0, 5000).map(seconds))
def test_laws(what: Known, policy: DeadLetterPolicy, jitter: float, spread: timedelta) -> None:
    """The same facts give the same verdict, deciding never raises, and every law holds."""
    verdict = decide(what, policy, NOW, jitter, spread)
    assert verdict == decide(what, policy, NOW, jitter, spread)
    for law in LAWS:
        law(Decision(what, policy, verdict))
