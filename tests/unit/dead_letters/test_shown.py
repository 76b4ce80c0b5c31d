"""An archived message on a terminal: values are hidden unless asked for, and nothing in it steers the terminal."""

from __future__ import annotations

import json

import pytest

from recovery.dead_letters.shown import Level, shown

RECORD = {
    "message_id": "m1",
    "queue": "orders-dlq",
    "origin": "sqs-redrive",
    "evidence": {"error": "token SECRET is expired"},
    "diagnosis": {"kind": "AUTH_FAILURE", "rule": "r", "group": "g", "normalised": "token <id> is expired"},
    "attributes": {
        "tenant": {"DataType": "String", "StringValue": "SECRET"},
        "raw": {"DataType": "Binary", "BinaryValue": "AAEC"},
    },
}


def at(level: Level, body: str, *show: str) -> str:
    return shown({**RECORD, "body": body}, level, show)


@pytest.mark.parametrize(
    "body",
    [
        '{"a": {"SECRET_": "SECRET"}}',
        '{"SECRET@example.org": {"SECRET 1": 1}}',
        '[{"SECRET-20260301": 1}]',
        "<!-- SECRET --><a><![CDATA[SECRET]]></a>",
        "<a xmlns:SECRET_='SECRET'><?x SECRET?></a>",
        "<a b='SECRET'><c>SECRET</c></a>",
        "SECRET text",
        "\x00\x01SECRET",
        '"SECRET"',
    ],
)
def test_values_are_hidden_unless_all_is_asked_for(body: str) -> None:
    """JSON, XML, text and bytes: masked shows structure and types, full shows all."""
    body = body.replace("SECRET_", "name")
    assert "SECRET" not in at(Level.MASKED, body)
    assert "SECRET" not in at(Level.NONE, body)
    full = at(Level.FULL, body)
    assert "SECRET" in full
    assert ("SECRET" in full.partition("\n\n")[2]) or "53 45 43 52 45 54" in full


def test_structure_types_and_chosen_values_stand_in_a_masked_look() -> None:
    """Names of keys, types, and the values at the pointers that a person names."""
    text = at(Level.MASKED, '{"id": 7, "lines": [{"sku": "abc", "n": 1.5}], "ok": true, "gone": null}', "/id")
    for part in ('"id": 7', '"sku": "<string of 3>"', '"n": "<number>"', '"ok": "<boolean>"', '"gone": "<null>"'):
        assert part in text
    assert "raw (Binary): <bytes: 3>" in text


def test_nothing_steers_the_terminal() -> None:
    """Escape sequences and line breaks of a name are written out."""
    text = at(Level.FULL, '{"a": "x"}\x1b]0;owned\x07')
    assert "\x1b" not in text
    assert "\x1b" not in shown({**RECORD, "queue": "q\x1b[2J\r"}, Level.NONE)


def test_entities_are_not_expanded() -> None:
    """A document that grows when it is read is shown as text."""
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    assert "bbbbbbbbbbbbbbbb" not in at(Level.FULL, bomb)
    assert "text: " in at(Level.MASKED, bomb)


@pytest.mark.parametrize("key", ["4111111111111111", "2026-03-01", "0190f3c2-7e1a-7000", "+49 170 1234567", "a@b.org"])
def test_a_key_that_is_a_value_is_hidden(key: str) -> None:
    """Maps by card, date, id, telephone or address; names of fields stay, and so does a key that was asked for."""
    body = json.dumps({key: 1, "order_id": 2, "line1.address-2": 3, "sha256": 4, "$ref": 5})
    text = at(Level.MASKED, body)
    assert key not in text
    assert all(f'"{name}": "<number>"' in text for name in ("order_id", "line1.address-2", "sha256", "$ref"))
    assert f'"{key}": 1' in at(Level.MASKED, body, f"/{key}")


def test_two_hidden_keys_stay_two() -> None:
    """No entry is lost in the picture."""
    assert at(Level.MASKED, '{"1111": 1, "2222": 2}').count("<number>") == 2


def test_a_deep_body_is_shown_as_far_as_a_person_reads() -> None:
    """No body ends the command."""
    deep = "[" * 3_000 + '"SECRET"' + "]" * 3_000
    assert "SECRET" not in at(Level.MASKED, deep)
    assert "SECRET" in at(Level.FULL, deep)


def test_what_the_producer_chose_is_hidden() -> None:
    """A message group is often a customer."""
    record = {**RECORD, "body": "{}", "system": {"MessageGroupId": "SECRET", "ApproximateReceiveCount": "4"}}
    assert "SECRET" not in shown(record, Level.MASKED)
    assert "ApproximateReceiveCount: 4" in shown(record, Level.NONE)
    assert "MessageGroupId: SECRET" in shown(record, Level.FULL)
