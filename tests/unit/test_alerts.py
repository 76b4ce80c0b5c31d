"""The subject of an alert: SNS refuses one that it does not like, and then nobody is notified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.alerts import plain_subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Reprise: 3 dead letters", "Reprise: 3 dead letters"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("Bestellung für Jörg", "Bestellung f r J rg"),
        ("", "Reprise"),
        ("日本語", "Reprise"),
        ("x" * 99, "x" * 99),
        ("x" * 100, "x" * 96 + "..."),
    ],
)
def test_subject(text: str, subject: str) -> None:
    """One line of printable ASCII under 100 characters; never empty."""
    assert plain_subject(text) == subject


@given(st.text())
def test_every_subject_is_one_that_sns_takes(text: str) -> None:
    """Source: Subject in the SNS API reference: ASCII, no line breaks or control characters, under 100 characters."""
    subject = plain_subject(text)
    assert subject.isascii()
    assert subject.isprintable()
    assert 0 < len(subject) < 100
    assert subject == subject.strip()
