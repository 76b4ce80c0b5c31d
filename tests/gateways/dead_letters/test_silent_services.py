"""A service that takes calls and never answers: it is waited for once in a run, and nothing else waits with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from blocks import connection
from blocks.connection import Connection
from recovery.aws import HELPER_TIMEOUT, HELPERS
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.report import RecoveryReport
from tests.dead_letters_world import AUTH, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair
from tests.gateways.dead_letters.test_evidence import log

SECONDS = 0.2
"""In place of the seconds for which a run waits for an answer."""
TRIED = 2
"""The SDK repeats a call once."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, world: DeadLettersWorld) -> Iterator[None]:
    monkeypatch.setattr(connection, "HELPER_TIMEOUT", SECONDS)
    yield
    world.aws.lift_faults()


class Sent:
    """The requests that left, by service: those that nobody answers are in no log of the simulated AWS."""

    def __init__(self, watched: Connection) -> None:
        self.counts: Counter[str] = Counter()
        for service, repeat in (("s3", True), ("sns", False), ("logs", True), ("cloudwatch", True), ("lambda", True)):
            client = watched.client(service, repeat=repeat)
            client.meta.events.register(f"before-send.{service}", self._count(service))

    def _count(self, service: str) -> Any:
        def count(**_: Any) -> None:
            self.counts[service] += 1

        return count


def hang(world: DeadLettersWorld, service: str, operation: str = "*") -> None:
    """Let a service take calls and never answer."""
    world.aws.fault("hold", service=service, operation=operation, times=None)


def run(
    world: DeadLettersWorld, *queues: str, policy: DeadLetterPolicy = POLICY
) -> tuple[RecoveryReport, Counter[str]]:
    """One run, and the requests that it sent to services that may hang."""
    own = world.connection()
    sent = Sent(own)
    return world.recover(*queues, policy=policy, connection=own), sent.counts


@pytest.mark.parametrize("service", sorted(HELPERS))
def test_no_answer_is_waited_for_longer_than_seconds(world: DeadLettersWorld, service: str) -> None:
    """Each of these services may hang, and a run waits a few seconds for it, twice."""
    assert HELPER_TIMEOUT <= 10
    config = world.connection().client(service).meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (SECONDS, TRIED)


def test_the_queues_themselves_are_waited_for_longer(world: DeadLettersWorld) -> None:
    """A long poll lasts up to twenty seconds."""
    assert world.connection().client("sqs").meta.config.read_timeout > 20


def test_a_hanging_archive_is_asked_once(world: DeadLettersWorld) -> None:
    """Messages that heal are sent and removed; of two queues, those that must be archived stay, with one line."""
    pair, other = world.pair(), world.pair("bills")
    for each in (pair, other):
        world.die(each, [TIMEOUT] * 3 + [INVALID, AUTH])
    hang(world, "s3")
    report, sent = run(world, pair.dead, other.dead)
    assert (report.by_action["heal"], report.unsettled, sent["s3"]) == (6, 4, TRIED)
    assert [len(world.bodies(each.dead)) for each in (pair, other)] == [2, 2]
    assert [line for line in report.problems if "s3" in line] == [
        "s3 does not answer (ReadTimeoutError): what needs it is left to the next run"
    ]
    world.aws.lift_faults()
    world.recover(pair.dead, other.dead)
    assert world.bodies(pair.dead) == world.bodies(other.dead) == []
    assert len(world.archived(pair.dead)) == 2


def test_a_hanging_topic_is_asked_once(world: DeadLettersWorld) -> None:
    """Fourteen groups in two queues: one call; all that heals is back, the others stay until people are notified."""
    pair, other = world.pair(), world.pair("bills")
    realms = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
    for each in (pair, other):
        world.die(each, [TIMEOUT] * 3 + [f"HTTP 401 Unauthorized: realm {realm}" for realm in realms])
    hang(world, "sns")
    report, sent = run(world, pair.dead, other.dead)
    assert (report.by_action["heal"], report.unsettled, sent["sns"]) == (6, 14, 1)
    assert [len(world.bodies(each.source)) for each in (pair, other)] == [3, 3]
    assert len([line for line in report.problems if "sns" in line]) == 1
    world.aws.lift_faults()
    world.aws.clock.advance(600)
    world.recover(pair.dead, other.dead)
    assert world.bodies(pair.dead) == world.bodies(other.dead) == []


def test_hanging_logs_are_asked_once(world: DeadLettersWorld) -> None:
    """Messages whose log cannot be read wait, also where the policy archives what no log explains."""
    pair, other = world.pair(), world.pair("bills")
    for each in (pair, other):
        world.die(each, [""] * 3)
    log(world, "nothing of them")
    hang(world, "logs")
    policy = DeadLetterPolicy.model_validate({"log_group": "/shop/consumer", "without_evidence": "archive"})
    report, sent = run(world, pair.dead, other.dead, policy=policy)
    assert (report.by_action, sent["logs"]) == ({"leave": 6}, TRIED)
    assert [line for line in report.warnings if "Logs" in line] == [
        "CloudWatch Logs does not answer (ReadTimeoutError): what needs it is left to the next run"
    ]


def test_a_hanging_query_is_not_followed_by_filters(world: DeadLettersWorld) -> None:
    """Many messages are asked for by a query; when nobody answers that, nobody is asked in another way."""
    pair = world.pair()
    world.die(pair, [""] * 150)
    log(world, "nothing of them")
    hang(world, "logs")
    report, sent = run(world, pair.dead, policy=DeadLetterPolicy(log_group="/shop/consumer"))
    assert (report.by_action, sent["logs"]) == ({"leave": 150}, TRIED)


def test_a_hanging_lambda_is_asked_once(world: DeadLettersWorld) -> None:
    """Nobody can say which log is the consumer's: no message is archived as one that nothing explains."""
    pair, other = world.pair(), world.pair("bills")
    for each in (pair, other):
        world.die(each, [""] * 3)
    hang(world, "lambda")
    policy = DeadLetterPolicy.model_validate({"find_consumer": True, "without_evidence": "archive"})
    report, sent = run(world, pair.dead, other.dead, policy=policy)
    assert (report.by_action, sent["lambda"]) == ({"leave": 6}, TRIED)
    assert len([line for line in report.warnings if "lambda does not answer" in line]) == 1


def test_a_throttled_lambda_archives_nothing(world: DeadLettersWorld) -> None:
    """A refusal that passes by itself is no answer."""
    pair = world.pair()
    world.die(pair, [""])
    world.aws.fault("error", service="lambda", code="TooManyRequestsException", status=429, times=None)
    policy = DeadLetterPolicy.model_validate({"find_consumer": True, "without_evidence": "archive"})
    assert run(world, pair.dead, policy=policy)[0].by_action == {"leave": 1}


def test_a_hanging_cloudwatch_is_asked_once(world: DeadLettersWorld) -> None:
    """It knows how far the consumers of busy queues are: what they took stays unproven, and the run goes on."""
    pairs = [world.pair(), world.pair("bills")]
    for pair in pairs:
        world.die(pair, [TIMEOUT])
    world.recover(*(pair.dead for pair in pairs))
    world.aws.clock.advance(3600)
    hang(world, "monitoring")
    report, sent = run(world, *(pair.dead for pair in pairs))
    assert (report.recovered, sent["cloudwatch"], report.failed) == (0, TRIED, False)
    assert len([line for line in report.warnings if "cloudwatch does not answer" in line]) == 1


def test_a_replay_waits_for_a_hanging_archive_once(world: DeadLettersWorld) -> None:
    """Messages of several objects: the first shows that nobody answers, and all claims are given back."""
    pair = world.pair()
    for _ in range(3):  # one archive object each
        world.die(pair, [AUTH])
        world.recover(pair.dead)
    hang(world, "s3")
    own = world.connection()
    sent = Sent(own)
    report = world.replay(queues=[pair.dead], connection=own)
    assert (report.unsettled, sent.counts["s3"]) == (3, TRIED)
    world.aws.lift_faults()
    assert world.replay(queues=[pair.dead]).unsettled == 0
    assert len(world.bodies(pair.source)) == 3


def test_a_payload_beside_the_archive_is_waited_for_once(world: DeadLettersWorld) -> None:
    """Pointers to payloads in S3: of forty copies none is made, and not each waits for itself."""
    pair = pointers(world, 40)
    hang(world, "s3")
    own = world.connection()
    sent = Sent(own)
    report = world.recover(pair.dead, connection=own, threads=1)
    assert (report.unsettled, sent.counts["s3"]) == (40, TRIED)


def pointers(world: DeadLettersWorld, count: int) -> Pair:
    """Messages of the extended client, whose bodies lie in S3."""
    pair = world.pair()
    body = '["software.amazon.payloadoffloading.PayloadS3Pointer", {{"s3BucketName": "b", "s3Key": "k{n}"}}]'
    world.die(pair, [INVALID] * count, MessageBody=body)
    return pair
