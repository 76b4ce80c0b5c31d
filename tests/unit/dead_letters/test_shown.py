"""An archived message on a terminal: values are hidden unless asked for, and nothing in it steers the terminal."""

from __future__ import annotations

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
    ['{"a": {"SECRET_": "SECRET"}}', "<a b='SECRET'><c>SECRET</c></a>", "SECRET text", "\x00\x01SECRET", '"SECRET"'],
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
