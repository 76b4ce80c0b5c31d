"""A sample of the rubbish that `make prove` tries, what it once found, and that it does find what is broken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from proof.rubbish import __main__ as command
from proof.rubbish import answers, events, messages, texts
from proof.rubbish.answers import NOW, REPLICATION, TASK
from recovery.errors import BadInput
from recovery.events.hints import Hint, translate

SAMPLE = {"events": 400, "messages": 300, "rows": 200, "answers": 250, "texts": 200, "requests": 300}
BEYOND = datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)


@pytest.mark.parametrize("kind", command.KINDS)
def test_no_rubbish_stops_anything(kind: str) -> None:
    """Each case is parked, refused or decided with a reason; and the cases are so odd that much comes of them."""
    found = command.tried(kind, 1, range(SAMPLE[kind]))
    assert found.violations == {}
    assert sum(found.outcomes.values()) == SAMPLE[kind]
    assert len(found.outcomes) >= 3


@pytest.mark.parametrize("kind", command.KINDS)
def test_a_seed_gives_the_same_cases(kind: str) -> None:
    """So that a reproduction can be asked for by its number; another seed gives others."""
    assert repr(command.case_of(kind, 3, 7)) == repr(command.case_of(kind, 3, 7))
    assert repr(command.case_of(kind, 3, 7)) != repr(command.case_of(kind, 4, 7))


def _message(**given: Any) -> dict[str, Any]:
    return {"body": "x", "attributes": {}, "system": {}, "policy": 0, "fifo": False, **given}


MESSAGES = {
    "a time that is none": _message(system={"SentTimestamp": "\x00", "ApproximateFirstReceiveTimestamp": "²"}),
    "a time beyond all times": _message(system={"SentTimestamp": "9" * 30}),
    "a number of 5000 digits": _message(system={"SentTimestamp": "9" * 5000, "SequenceNumber": "9" * 5000}, fifo=True),
    "half a surrogate pair": _message(attributes={"\udfff": {"DataType": "\ud800", "StringValue": "\ud800"}}),
    "a source that is no ARN": _message(system={"DeadLetterQueueSourceArn": "x"}),
}


@pytest.mark.parametrize("case", MESSAGES.values(), ids=list(MESSAGES))
def test_an_odd_message_does_not_stop_the_others(case: dict[str, Any]) -> None:
    """Each of these once ended the round of messages that it came with."""
    assert messages.outcome(case)


def test_a_message_without_a_readable_time_is_kept_at_once() -> None:
    """Nobody knows how long its queue still keeps it, so it is archived, not left."""
    assert messages.outcome(_message(system={"SentTimestamp": "soon"})).startswith("archive")


def _dms(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    tasks = {"ReplicationTasks": [task]}
    return {
        "service": "dms",
        "describe_replication_tasks": tasks,
        "describe_replications": {"Replications": [{}]},
        "describe_replication_instances": {"ReplicationInstances": [answers.INSTANCE]},
        **more,
    }


def test_a_replication_with_an_impossible_time_is_set_aside() -> None:
    """A date at the end of all time once ended the whole run."""
    stats = {**TASK["ReplicationTaskStats"], "StopDate": BEYOND}
    assert answers.outcome(_dms({**TASK, "ReplicationTaskStats": stats})) == "dms: set aside"


def test_statistics_that_are_not_understood_are_that_replication_s_trouble() -> None:
    """The gateway answers with an error of the project's own, which the run keeps beside the replication."""
    tables = {"TableStatistics": [{"TableName": "orders", "FullLoadStartTime": BEYOND}]}
    assert answers.outcome(_dms(TASK, describe_table_statistics=tables)) == "dms: BadInput"


def test_instances_and_tags_without_their_fields_are_passed_over() -> None:
    """An entry without an ARN is no instance of ours, and one without a key is no tag that a pattern fits."""
    odd = {
        "describe_replication_instances": {"ReplicationInstances": [{}]},
        "list_tags_for_resource": {"TagList": [{"ResourceArn": TASK["ReplicationTaskArn"]}]},
    }
    assert answers.outcome(_dms(TASK, **odd)) not in ("dms: BadInput", "dms: set aside")


def test_deeply_nested_settings_ask_for_permission() -> None:
    """Settings that cannot be read count as those that empty the target."""
    config = {"ReplicationConfigs": [{"ReplicationSettings": "[" * 5000}]}
    case = _dms({}, describe_replications={"Replications": [REPLICATION]}, describe_replication_configs=config)
    assert answers.outcome(case) != "dms: set aside"


def test_a_run_with_an_impossible_time_is_its_flow_s_trouble() -> None:
    """AppFlow's answer is refused with the flow's name."""
    case = {
        "service": "appflow",
        "list_flows": {"flows": [answers.FLOW]},
        "describe_flow": answers.FLOW,
        "describe_flow_execution_records": {"flowExecutions": [{**answers.RUN, "dataPullEndTime": BEYOND}]},
    }
    assert answers.outcome(case) == "appflow: BadInput"


def test_a_defect_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translation that breaks at one sign is found, with its place and the smallest message that shows it."""

    def broken(body: str, message_id: str, now: datetime) -> list[Hint]:
        if "\x07" in body or "\\u0007" in body:
            raise KeyError("absent")
        return translate(body, message_id, now)

    monkeypatch.setattr(events, "translate", broken)
    found = command.tried("events", 1, range(400))
    assert found.broken > 0
    [violation] = found.violations.values()
    assert "KeyError" in violation
    assert len(violation.partition("case: ")[2].partition("\n")[0]) < 120


@pytest.mark.parametrize(
    ("triage", "case", "says"),
    [
        ("normalise", {"error": "x password=kwyjibo y", "body": None, "attributes": {}}, "normalised text"),
        ("mask", {"error": "x password=kwyjibo y", "body": None, "attributes": {}}, "masked text"),
    ],
)
def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch, triage: str, case: dict[str, Any], says: str) -> None:
    """A text that keeps its secret is a violation, wherever it is kept."""
    monkeypatch.setattr(texts, triage, str.strip)
    with pytest.raises(AssertionError, match=says):
        texts.outcome(case)


def test_a_hint_that_is_refused_without_a_reason_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal must say something."""

    def refuse(*_: object) -> list[Hint]:
        raise BadInput("no")

    monkeypatch.setattr(events, "translate", refuse)
    assert command.tried("events", 1, range(2)).broken == 2


def test_the_command_reports_its_tries(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts for each kind; it fails where anything broke, with what shows it."""
    assert command.main(["--count", "20", "--seed", "5", "--only", "events", "--only", "texts"]) == 0
    assert "rubbish: 20 tried, 0 violations, seed 5" in capsys.readouterr().out
    monkeypatch.setattr(texts, "CAP", -1)
    assert command.main(["--only", "texts", "--at", "3"]) == 1
    assert "texts 3 (--seed 8)" in capsys.readouterr().out


def test_the_time_of_the_cases_is_fixed() -> None:
    """No case depends on the day on which it is tried."""
    assert NOW.year == messages.NOW.year == 2026
