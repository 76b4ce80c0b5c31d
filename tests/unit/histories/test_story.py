"""The history of an item, from the records that its path keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.appflow_runs import story as flows
from recovery.appflow_runs.memory import Memory as FlowMemory
from recovery.appflow_runs.models import Attempt, History, Means
from recovery.cases import Case, State
from recovery.dead_letters import story as messages
from recovery.histories.pages import age, headline, list_page, list_rows, story_page
from recovery.links import Links
from recovery.replication_tasks import story as replications
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import Restart, Verb
from recovery.story import IN_WORDS, Story

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def case(key: str, state: State, *, path: str = "dead_letters", minutes: int = 0, **more: Any) -> Case:
    basis: dict[str, Any] = {
        "path": path,
        "key": key,
        "source": "orders-dlq",
        "state": state,
        "kind": "TIMEOUT",
        "rule": "timeout-words",
        "group": "TIMEOUT-1234",
        "first_seen": NOW,
        "changed": NOW + timedelta(minutes=minutes),
        "expires": NOW + timedelta(days=36_500),  # the emulator deletes what has expired by the clock on the wall
        "reason": "the consumer timed out",
    }
    return Case(**(basis | more))


def whats(story: Story) -> list[str]:
    return [moment.what for moment in story.moments]


def test_every_state_has_words() -> None:
    """A person reads a sentence, not a state."""
    assert set(IN_WORDS) == set(State)


def test_a_message_is_reported_over_all_its_ids() -> None:
    """Healed, came back, healed again, given up: one story in the order of time, and where it stands is the last."""
    first = case("a", State.SUPERSEDED, minutes=10, attempts=1, detail={"next": "b"})
    second = case("b", State.SUPERSEDED, minutes=70, attempts=2, detail={"next": "c", "earlier": ["a"]})
    last = case(
        "c",
        State.EXHAUSTED,
        minutes=80,
        attempts=2,
        detail={
            "earlier": ["a", "b"],
            "error": "read timed out",
            "step": "fix it",
            "archive": {"key": "k", "line": 0},
        },
    )
    record = {
        "archived_at": (NOW + timedelta(minutes=79)).isoformat(),
        "body": "SECRET",
        "diagnosis": {"kind": "TIMEOUT", "rule": "r", "normalised": "read timed out", "quote": "SECRET"},
        "log": "https://example/log",
    }
    reported = messages.story("b", [last, first, second], [("s3://bucket/k line 0", record)])
    assert (reported.state, reported.waits_for_a_person, reported.attempts) == ("exhausted", True, 2)
    assert reported.ids == ("a", "b", "c")
    assert whats(reported) == [
        "first found in orders-dlq",
        "came back as b, attempt 1",
        "came back as c, attempt 2",
        "copied to s3://bucket/k line 0 as TIMEOUT (r)",
        "exhausted, attempt 2: the consumer timed out",
    ]
    page = story_page([reported])
    assert "SECRET" not in page
    assert "fix it" in page
    assert "https://example/log" in page


def test_a_message_that_waits_says_until_when() -> None:
    """Its next attempt is reported with its time."""
    reported = messages.story("a", [case("a", State.BACKOFF, due=NOW + timedelta(hours=1))], [])
    assert "due 2026-03-04 13:00:00 UTC" in whats(reported)[-1]
    assert "next attempt: 2026-03-04 13:00:00 UTC" in story_page([reported])


def test_a_replication_is_reported_with_each_restart_and_what_became_of_it() -> None:
    """From the very memory that the path keeps."""
    memory = Memory(
        restarts=(
            Restart(NOW + timedelta(minutes=5), Verb.RESUME, outcome="flapped"),
            Restart(NOW + timedelta(minutes=9), Verb.RESUME),
        ),
        incident=NOW + timedelta(minutes=1),
        failed=NOW,
        notified="mark",
        missed=True,
    )
    kept = case(
        "arn:aws:dms:x",
        State.ESCALATED,
        path="replication_tasks",
        minutes=20,
        detail={**memory.as_json(), "name": "orders", "step": "resume the task"},
    )
    reported = replications.story("orders", kept)
    assert whats(reported) == [
        "it failed",
        "no event had reported it",
        "resume-processing: flapped",
        "resume-processing: not triaged yet",
        "escalated: the consumer timed out",
        "people were notified",
    ]
    assert reported.ids == ("orders", "arn:aws:dms:x")
    assert reported.next_step == "resume the task"
    assert headline(reported) == "orders: escalated: a person was notified (replication tasks)"
    assert "### 1 TIMEOUT of orders (replication tasks)" in list_page([reported], (), NOW)


def test_a_flow_is_reported_with_each_attempt_and_its_outcome() -> None:
    """From the very memory that the path keeps."""
    attempt = Attempt(
        1,
        Means.TWIN,
        "run-1",
        NOW + timedelta(minutes=2),
        NOW + timedelta(minutes=4),
        outcome="Error",
        ended=NOW + timedelta(minutes=6),
        error="the connector timed out",
    )
    memory = FlowMemory(history=History((attempt,), NOW, None), seconds_to_recover=None)
    kept = case("orders", State.EXHAUSTED, path="appflow_runs", minutes=9, detail=memory.as_json())
    reported = flows.story("orders", kept)
    assert whats(reported)[1:] == [
        "its runs began to fail",
        f"attempt 1 ({Means.TWIN.value}) at run run-1",
        "attempt 1 ended: Error, the connector timed out",
        "exhausted: the consumer timed out",
    ]
    assert reported.error == "the connector timed out"


def test_the_time_to_recover_is_reported() -> None:
    """A path that knows it shows it."""
    memory = replace(FlowMemory(), seconds_to_recover=90.0)
    reported = flows.story("orders", case("orders", State.RECOVERED, path="appflow_runs", detail=memory.as_json()))
    assert whats(reported)[-1].endswith("90 s from failure to recovery")


def test_texts_cannot_break_out_of_the_page() -> None:
    """Text of AWS or a service is neither markup nor a template."""
    nasty = case("a`b", State.PARKED, reason="<script>|{{ x }}[l](http://e)", source="<b>")
    page = story_page([messages.story("a`b", [nasty], [])], ["<i>"])
    assert "<script>" not in page
    assert "<b>" not in page
    assert "{{" not in page
    assert "](http://e)" not in page


def test_the_list_is_counted_by_group_with_the_next_step() -> None:
    """A person sees what to do first, then the single cases with their age."""
    stories = [
        messages.story(f"m{n}", [case(f"m{n}", State.PARKED, detail={"step": "rotate the key", "error": "401"})], [])
        for n in range(3)
    ]
    page = list_page(stories, ["something"], NOW)
    assert "### 3 TIMEOUT of orders-dlq (dead letters)" in page
    assert page.count("rotate the key") == 1
    rows = list_rows(stories, NOW + timedelta(hours=3))
    assert [row["what"] for row in rows] == ["m0", "m1", "m2"]
    assert rows[0]["age"] == "3 h"
    assert age(stories[0], NOW + timedelta(days=4)) == "4 d"
    assert age(stories[0], NOW) == "0 min"


def test_a_history_begins_with_the_next_step_and_its_forms() -> None:
    """A case without a group has none: the form would be of its whole queue."""
    links = Links("http://ui", {"dead-letters/plan": "d-1", "cases/close": "d-2"}, "r")
    parked = case("a", State.PARKED, detail={"step": "renew the key"})
    waits = messages.story("a", [parked], [])
    [fact, *_] = [line for line in story_page([waits], (), links).splitlines() if line.startswith("- ")]
    assert fact.startswith("- next step: **renew the key**: [plan its return, once its cause is fixed](http://ui/v2/")
    assert "[" not in story_page([messages.story("a", [replace(parked, group="")], [])], (), links)
