"""Outward events stay within the bounds of those who take them."""

from __future__ import annotations

from datetime import UTC, datetime

from recovery.events.outward import CONSUMER_SILENT, GROUP_OPENED, Outward, of_queue

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def resource(*parts: str) -> str:
    return str(Outward(GROUP_OPENED, parts, "k", NOW, {}).as_event()["resource"]["prefect.resource.id"])


def test_a_long_resource_stays_one_incident() -> None:
    """PagerDuty refuses keys of more than 255 characters; two long names are two keys, one name is one."""
    assert resource("group", "dead_letters", "orders-dlq", "g") == "reprise.group.dead_letters.orders-dlq.g"
    one, other = (resource("group", "replication_tasks", "x" * 300, end) for end in ("a", "b"))
    assert len(one) <= 255
    assert one != other
    assert one == resource("group", "replication_tasks", "x" * 300, "a")
    assert one.startswith("reprise.group.replication_tasks.xxx")


def test_half_an_address_is_none() -> None:
    """A text is cut; a link that would not open what it names is left out."""
    given: dict[str, str | int] = {
        "text": "word " * 500,
        "act": "https://ui/" + "a" * 600,
        "run": "https://ui/" + "a" * 3_000,
        "count": 7,
    }
    payload = Outward(GROUP_OPENED, ("group", "p", "s", "g"), "k", NOW, given).as_event()["payload"]
    assert len(payload["text"]) == 500
    assert payload["act"] == given["act"]
    assert payload["run"] == ""
    assert payload["count"] == 7


def test_routes_choose_by_sources() -> None:
    """A group of two queues is related to both, also after it was kept; a queue in trouble is of the dead letters."""
    group = Outward(GROUP_OPENED, ("group", "dead_letters", "arn:x", "g"), "k", NOW, {}, ("orders-dlq", "stock-dlq"))
    ids = [each["prefect.resource.id"] for each in group.as_event()["related"]]
    assert ids == ["reprise.source.dead_letters.orders-dlq", "reprise.source.dead_letters.stock-dlq"]
    assert Outward.from_json(group.as_json()) == group
    silent = of_queue(CONSUMER_SILENT, "orders-dlq", NOW, "it takes nothing")
    assert [each["prefect.resource.id"] for each in silent.as_event()["related"]] == ids[:1]
    row = Outward(GROUP_OPENED, ("group", "outbox_records", "outbox", "g"), "k", NOW, {})
    assert row.as_event()["related"][0]["prefect.resource.id"] == "reprise.source.outbox_records.outbox"
