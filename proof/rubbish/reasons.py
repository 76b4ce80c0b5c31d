"""Every refusal and every decision has a reason in words for a person."""

from __future__ import annotations


def check_reason(words: str) -> None:
    """Raise AssertionError for a reason that says nothing."""
    assert len(words.strip()) > 10, f"no reason: {words!r}"
