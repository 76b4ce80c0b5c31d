"""An id or a time in a failure's text is one value, whatever its digits look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recovery.failures import Kind, fingerprint, normalise

MOMENTS = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")


def line(moment: str, request: object, message: object) -> str:
    return f"[ERROR] {moment} {request} queue=orders messageId={message} receive=3 order failed"


@given(MOMENTS, st.uuids(), st.uuids())
def test_a_log_line_is_the_same_whatever_its_ids_and_times(moment: str, request: object, message: object) -> None:
    """A run of digits inside an id is no secret of its own: the line of every message has one form, and one group."""
    text = line(moment, request, message)
    assert normalise(text) == "order failed"
    other = line(
        "2026-03-01T12:00:00.000Z", "00000000-0000-4000-8000-000000000000", "f" * 8 + "-ffff" * 3 + "-" + "f" * 12
    )
    assert fingerprint(Kind.UNKNOWN, text) == fingerprint(Kind.UNKNOWN, other)
