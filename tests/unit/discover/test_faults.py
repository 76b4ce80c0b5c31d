"""Faults of a dead-letter queue's set-up, and the places of its evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from recovery.consumers.models import Consumer, Function
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.discover.faults import AGE, DEPTH, SENT, row_of
from recovery.discover.models import Alarm, LogGroup, QueueFacts, Setup, SourceSetup, Survey
from recovery.discover.pages import markdown, request_of, table, text

HERE = "arn:aws:sqs:eu-west-1:123456789012:"
GROUP = "/aws/lambda/orders"
FUNCTION = Function("orders", GROUP, timeout_seconds=10)
CONSUMER = Consumer("arn:aws:lambda:eu-west-1:123456789012:function:orders", function=FUNCTION)
DEAD = QueueFacts("orders-dlq", f"{HERE}orders-dlq", retention_seconds=1_209_600)
SOURCE = QueueFacts("orders", f"{HERE}orders", visibility_seconds=60, dead_arn=DEAD.arn, max_receives=5)
GOOD = Setup(
    DEAD,
    sources=(SourceSetup(SOURCE, (CONSUMER,), (LogGroup(GROUP, retention_days=30),)),),
    alarms=(Alarm("orders-depth", DEPTH),),
)


def faults(setup: Setup) -> list[str]:
    return [fault.rule for fault in row_of(setup).faults]


def with_source(**changes: Any) -> Setup:
    return replace(GOOD, sources=(replace(GOOD.sources[0], **changes),))


def with_queue(**changes: Any) -> Setup:
    return with_source(queue=replace(SOURCE, **changes))


def with_consumer(consumer: Consumer) -> Setup:
    return with_source(consumers=(consumer,))


def with_function(**changes: Any) -> Setup:
    return with_consumer(replace(CONSUMER, function=replace(FUNCTION, **changes)))


def dead(**changes: Any) -> Setup:
    return replace(GOOD, queue=replace(DEAD, **changes))


def test_a_good_set_up_has_no_faults_and_its_evidence_is_found() -> None:
    """The log group is known, so that it can stand in a policy."""
    row = row_of(GOOD)
    assert not row.faults
    assert row.found
    assert row.log_group == GROUP
    assert "by message id, else by time" in row.evidence


@pytest.mark.parametrize(
    ("setup", "rule"),
    [
        (replace(GOOD, exists=False), "missing"),
        (replace(GOOD, alarms=()), "no-alarm"),
        (replace(GOOD, alarms=(Alarm("a", SENT),)), "alarm-on-sent"),
        (replace(GOOD, alarms=(Alarm("a", AGE, notifies=False),)), "silent-alarm"),
        (replace(GOOD, consumers=(CONSUMER,)), "consumed"),
        (dead(dead_arn=f"{HERE}graveyard"), "chained"),
        (replace(GOOD, sources=(*GOOD.sources, *GOOD.sources)), "shared"),
        (dead(name="orders-dlq.fifo"), "fifo"),
        (dead(admits="denyAll"), "not-admitted"),
        (dead(admits="byQueue", admitted=(f"{HERE}other",)), "not-admitted"),
        (dead(retention_seconds=345_600), "retention"),
        (with_queue(visibility_seconds=59), "visibility"),
        (with_queue(max_receives=4), "few-receives"),
        (with_consumer(replace(CONSUMER, state="Disabled")), "consumer-off"),
        (with_function(reserved=0), "consumer-off"),
        (with_function(reserved=1), "throttled"),
        (with_function(log_level="FATAL"), "log-level"),
        (with_consumer(replace(CONSUMER, batch_size=10)), "whole-batch"),
        (with_source(log_groups=(LogGroup(GROUP, exists=False),)), "no-log"),
        (with_source(log_groups=(LogGroup(GROUP, retention_days=3),)), "log-retention"),
    ],
)
def test_each_fault_of_a_set_up_is_named(setup: Setup, rule: str) -> None:
    """By its rule, once for each source that has it."""
    assert set(faults(setup)) == {rule}


@pytest.mark.parametrize(
    "setup",
    [
        dead(admits="byQueue", admitted=(SOURCE.arn,)),
        replace(GOOD, alarms=None),
        replace(GOOD, alarms=(Alarm("a", SENT), Alarm("b", AGE))),
        with_function(reserved=5),
        with_function(log_level="ERROR"),
        with_consumer(replace(CONSUMER, batch_size=10, reports_items=True)),
        with_consumer(replace(CONSUMER, function=replace(FUNCTION, reserved=2), most_at_once=2)),
        with_source(log_groups=()),
        with_queue(visibility_seconds=60),
    ],
)
def test_what_is_right_or_not_known_is_no_fault(setup: Setup) -> None:
    """A permission that is missing is a problem of the survey, not of the queue."""
    assert faults(setup) == []


@pytest.mark.parametrize(
    ("setup", "reported"),
    [
        (with_source(consumers=None), "could not be looked up"),
        (with_source(consumers=()), "no Lambda function consumes it"),
        (with_consumer(replace(CONSUMER, function=None, problem="function orders: gone")), "function orders: gone"),
        (with_source(log_groups=(LogGroup(GROUP, exists=False),)), "does not exist"),
        (with_source(log_groups=(LogGroup(GROUP, log_class="DELIVERY"),)), "cannot be searched"),
        (
            with_source(consumers=(CONSUMER, replace(CONSUMER, function=replace(FUNCTION, log_group="/other")))),
            "none of them surely its own",
        ),
        (replace(GOOD, sources=()), "no queue's messages die into it"),
    ],
)
def test_evidence_that_will_not_be_found_says_why(setup: Setup, reported: str) -> None:
    """And the request to paste names no log group for it."""
    row = row_of(setup)
    assert not row.found
    assert reported in row.evidence
    assert not row.log_group


def test_the_request_to_paste_is_one_that_the_path_takes() -> None:
    """Dry, with the log group of each queue that has one of its own; a queue that does not exist is left out."""
    rows = [row_of(GOOD), row_of(replace(GOOD, queue=replace(DEAD, name="gone-dlq"), exists=False))]
    request = DeadLetterRequest.model_validate(request_of(Survey(rows)))
    assert request.queues == ("orders-dlq",)
    assert request.dry_run
    assert request.policy_for("orders-dlq").log_group == GROUP


def test_the_pages_show_every_queue_and_fault() -> None:
    """On the page, in the table and on the terminal; a name cannot break out of its place."""
    odd = replace(GOOD, queue=replace(DEAD, name="a|b<i>-dlq", dead_arn=f"{HERE}graveyard"))
    survey = Survey([row_of(GOOD), row_of(odd)], ("permission x is missing",), (replace(DEAD, name="other-dlq"),))
    for shown in (markdown(survey), text(survey)):
        assert "chained" in shown
        assert "permission x is missing" in shown
        assert "other-dlq" in shown
        assert json.dumps(request_of(survey), indent=2) in shown
    assert "<i>" not in markdown(survey).split("```")[0]
    assert [row["queue"] for row in table(survey)] == ["orders-dlq", "a|b<i>-dlq"]
