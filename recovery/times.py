"""Times as AWS gives them, and as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def from_answer(moment: datetime | None) -> datetime | None:
    """Return a time of an answer in whole milliseconds and UTC: botocore gives local time with the noise of a float."""
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=0) + timedelta(milliseconds=round(utc.microsecond / 1000))


def from_event(value: object) -> datetime | None:
    """Return a time of an event in UTC; None for what is none. A year that UTC lacks raises OverflowError.

    AWS writes 2019-10-02T17:04:40.989+0000 (CloudWatch), 2021-08-24T09:06:20.871Z[UTC] (AppFlow), 2021-08-24T09:06:21Z.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.removesuffix("[UTC]"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        return None


def shown(moment: datetime) -> str:
    """Return a time for people."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
