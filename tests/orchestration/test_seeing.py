"""The operator's view: numbers in CloudWatch, the day's digest, and the history of one item; by real runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import Task, tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from flows.cases import describe_case, list_cases
from flows.dead_letters import recover_dead_letters
from flows.digest import report_day
from flows.discover import discover_queues
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.digest.book import DayBook
from recovery.digest.digest import Digest
from recovery.digest.request import DigestRequest
from recovery.discover.models import DiscoverRequest, Survey
from recovery.errors import Refused
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.report_page import markdown
from tasks import metrics as metrics_tasks
from tests.dead_letters_world import AUTH, POLICY, DeadLettersWorld
from tests.orchestration.dead_letters_runs import recover, run


@pytest.fixture(autouse=True)
def _repetitions_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in vars(metrics_tasks).values():
        if isinstance(task, Task) and task.retries:
            monkeypatch.setattr(task, "retry_delay_seconds", 0.01)


def published(world: DeadLettersWorld) -> dict[tuple[str, ...], int]:
    """Our metrics in CloudWatch: name and dimension values."""
    pages = world.aws.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="Reprise")
    found = [metric for page in pages for metric in page["Metrics"]]
    return {(metric["MetricName"], *(each["Value"] for each in metric["Dimensions"])): 1 for metric in found}


def latest_artifact(key: str) -> Any:
    """The latest artifact of a key."""

    async def read() -> Any:
        async with get_client() as client:
            return (await client.request("GET", "/artifacts/{key}/latest", path_params={"key": key})).json()

    return asyncio.run(read())


def sweeps(world: DeadLettersWorld) -> float:
    """Return the number of sweeps in CloudWatch."""
    now = world.aws.clock.now()
    answer: Any = world.aws.client("cloudwatch").get_metric_statistics(
        Namespace="Reprise",
        MetricName="Sweeps",
        Dimensions=[{"Name": "Path", "Value": "dead_letters"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def mails(world: DeadLettersWorld) -> list[Mapping[str, Any]]:
    return [json.loads(message["body"]) for message in world.aws.messages(world._mailbox)]


def test_a_run_is_seen_in_cloudwatch_in_the_digest_and_as_a_case(world: DeadLettersWorld) -> None:
    """One run of dead letters: its numbers are metrics, its day is published once, and its message has a history."""
    pair = world.pair()
    [message] = world.die(pair, [AUTH], MessageBody="SECRET-BODY")
    with tags("auto-scheduled"):  # as Prefect marks the runs of a schedule
        recover(world, pair.dead)
    assert sweeps(world) == 1
    recover(world, pair.dead)
    assert sweeps(world) == 1
    names = published(world)
    assert ("Alerted", "dead_letters") in names
    assert ("Alerted", "dead_letters", pair.dead) in names
    assert ("Alerted", "dead_letters", "AUTH_FAILURE") in names
    assert ("VisibleDeadLetters", "dead_letters", pair.dead) in names

    today = world.aws.clock.now().date()
    digest = report_day(DigestRequest(day=today, dry_run=False))
    assert isinstance(digest, Digest)
    assert (digest.failed, digest.waits) == (1, 1)
    report_day(DigestRequest(day=today, dry_run=False))
    subjects = [mail["Subject"] for mail in mails(world)]
    assert subjects.count(f"Reprise, {today}: 1 failed, 0 came back, 1 wait for a person") == 1
    shown = latest_artifact("daily-digest")
    assert "data:image/svg+xml" in shown["data"]
    assert "SECRET" not in shown["data"]

    stories = describe_case(CaseRequest(key=message))
    assert isinstance(stories, list)
    assert [story.waits_for_a_person for story in stories] == [True]
    assert message in latest_artifact("case")["data"]
    assert "SECRET" not in latest_artifact("case")["data"]
    waits = list_cases(ListRequest())
    assert isinstance(waits, list)
    assert [story.key for story in waits] == [message]
    assert message in latest_artifact("waiting-cases-one-by-one")["data"]


OWN_KINDS = """
version: 1
kinds:
  CARRIER_STRIKE: {action: alert, why: nobody drives}
  NIGHT_CLOSED: {action: heal, why: the depot opens in the morning}
rules:
- {id: depot.strike, kind: CARRIER_STRIKE, phrases: [drivers on strike], why: nobody drives, example: drivers on strike,
   counter: drivers on time}
- {id: depot.night, kind: NIGHT_CLOSED, phrases: [closed at night], why: closed, example: closed at night,
   counter: open at night}
"""


def test_kinds_of_a_rules_file_are_kinds_everywhere(world: DeadLettersWorld, tmp_path: Path) -> None:
    """Their default actions, the report, the ledger, metrics, the lists of cases and their filters, and the digest."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(OWN_KINDS)
    pair = world.pair()
    strike, night, auth = world.die(pair, ["drivers on strike in the north", "depot closed at night", AUTH])
    report = recover(world, pair.dead, policy=POLICY.model_copy(update={"rules_file": str(rules)}))
    assert report.by_kind == {"CARRIER_STRIKE": 1, "NIGHT_CLOSED": 1, "AUTH_FAILURE": 1}
    assert {row.kind: (row.action, row.diagnosis) for row in report.groups} == {
        "CARRIER_STRIKE": ("alert", "depot.strike"),
        "NIGHT_CLOSED": ("heal", "depot.night"),
        "AUTH_FAILURE": ("alert", "auth.expired"),
    }
    assert "CARRIER_STRIKE 1" in markdown(report, "Dead letters")
    kinds = sorted(case.kind for case in world.cases(pair.dead).values())
    assert kinds == ["AUTH_FAILURE", "CARRIER_STRIKE", "NIGHT_CLOSED"]
    names = published(world)
    assert ("Alerted", "dead_letters", "CARRIER_STRIKE") in names
    assert any(name[1:] == ("dead_letters", "NIGHT_CLOSED") for name in names)
    waits = list_cases(ListRequest(kinds=("CARRIER_STRIKE",)))
    assert isinstance(waits, list)
    assert [(story.key, story.kind) for story in waits] == [(strike, "CARRIER_STRIKE")]
    assert len(world.alerts("CARRIER_STRIKE")) == 1
    assert night not in {story.key for story in waits}
    assert auth not in {story.key for story in waits}


def test_what_cannot_be_published_or_noted_fails_no_run(
    world: DeadLettersWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of CloudWatch, or of the day book, is one warning; the messages are taken care of all the same."""

    def refuse(*_: object) -> None:
        raise Refused("dynamodb:PutItem: AccessDeniedException")

    monkeypatch.setattr(DayBook, "add", refuse)
    pair = world.pair()
    world.die(pair, [AUTH])
    world.aws.fault("error", service="monitoring", code="AccessDenied", status=403)
    report = recover(world, pair.dead)
    world.aws.lift_faults()
    assert report.by_action == {"alert": 1}
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in logged if "metrics of this run are not complete" in line]) == 1
    assert len([line for line in logged if "missing in the digest of its day" in line]) == 1
    assert not report.failed


def test_a_dry_run_publishes_nothing(world: DeadLettersWorld) -> None:
    """Neither numbers nor a page in the day book; nor does a run with nothing to look at."""
    pair = world.pair()
    world.die(pair, [AUTH])
    recover_dead_letters(DeadLetterRequest(queues=(pair.dead,)))
    recover_dead_letters(DeadLetterRequest(dry_run=False))
    assert published(world) == {}
    assert not [item for item in world.items() if item["pk"]["S"].startswith("day#")]


def test_a_run_that_could_not_begin_is_an_error_of_the_healer(
    world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no report, and is counted all the same."""
    world.aws.fault("error", service="sqs", code="AccessDenied", status=403)
    state = run(world, "some-dlq")
    world.aws.lift_faults()
    assert state.is_failed()
    assert ("HealerErrors", "dead_letters") in published(world)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "key: name a message id, the key of an outbox row, a DMS task or an AppFlow flow"),
        ({"key": "nobody"}, "nothing is known of 'nobody'"),
        ({"key": "nobody", "estate": "no-such-block"}, "no Recovery Estate block named 'no-such-block'"),
    ],
)
def test_a_mistake_of_a_person_is_one_clear_line(
    world: DeadLettersWorld, request_: dict[str, Any], expected: str
) -> None:
    """The run fails with the field and what was expected, and without a traceback."""
    state: State[Any] = describe_case(CaseRequest(**request_), return_state=True)
    assert state.is_failed()
    assert expected in str(state.message)
    assert "\n" not in str(state.message)


def test_a_survey_is_a_page_and_a_table(world: DeadLettersWorld) -> None:
    """With a request to paste; the run's name has the result."""
    pair = world.pair()
    group = world.consume(pair)
    found = discover_queues(DiscoverRequest(queues=(pair.dead,)))
    assert isinstance(found, Survey)
    assert f'"log_group": "{group}"' in latest_artifact("discover")["data"]
    [row] = json.loads(latest_artifact("discover-queues")["data"])
    assert (row["queue"], row["sources"], row["alarm"]) == (pair.dead, pair.source, "none")


def test_queues_that_cannot_be_listed_are_one_clear_line(world: DeadLettersWorld) -> None:
    """No traceback, and no page."""
    world.aws.fault("error", service="sqs", operation="ListQueues", code="AccessDenied", status=403)
    state: State[Any] = discover_queues(DiscoverRequest(), return_state=True)
    assert state.is_failed()
    assert state.message is not None
    assert "sqs:ListQueues" in state.message
