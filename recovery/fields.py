"""Reading plain JSON that was kept, each field only in its own type: a half-read value would decide wrongly. Pure.

An entry that stands in the ledger for months may be edited by hand, or come from another version. Every reader raises
ValueError, which names the field and never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fields:
    """The fields of one object.

    Args:
        raw: the value that was kept.
        required: fields that must stand there; any other one may be missing, and then has its default.

    Raises:
        ValueError: it is no object, or a field is missing.
    """

    def __init__(self, raw: object, *required: str) -> None:
        if not isinstance(raw, Mapping):
            raise ValueError("it is not an object")
        self._raw: Mapping[str, Any] = raw
        for name in required:
            if name not in raw:
                raise ValueError(f"{name} is missing")

    def text(self, name: str) -> str:
        """A text; "" where there is none."""
        return str(self._of(name, str, ""))

    def flag(self, name: str) -> bool:
        """A yes or no; no where there is none."""
        return bool(self._of(name, bool, False))

    def number(self, name: str, default: float = 0.0) -> float:
        """A finite number."""
        found = self._of(name, (int, float), default)
        try:
            number = float(found)
        except OverflowError:
            raise ValueError(name) from None
        if isinstance(found, bool) or not isfinite(number):
            raise ValueError(name)
        return number

    def count(self, name: str) -> int:
        """A whole number that is not negative; 0 where there is none."""
        found = self._of(name, int, 0)
        if isinstance(found, bool) or found < 0:
            raise ValueError(name)
        return int(found)

    def many(self, name: str) -> list[Any]:
        """A list; an empty one where there is none."""
        return list(self._of(name, list, []))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; an empty one where there is none."""
        found = self.many(name)
        if not all(isinstance(one, str) for one in found):
            raise ValueError(name)
        return tuple(found)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; an empty one where there is none."""
        return dict(self._of(name, dict, {}))

    def time(self, name: str) -> datetime | None:
        """A time with a zone, as ISO 8601; None where there is none."""
        return None if self._raw.get(name) is None else self.required_time(name)

    def required_time(self, name: str) -> datetime:
        """A time with a zone, as ISO 8601, which must stand there."""
        try:
            found = datetime.fromisoformat(self._raw.get(name))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ValueError(name) from None
        if found.tzinfo is None:
            raise ValueError(name)
        return found

    def stamp(self, name: str) -> datetime | None:
        """A time in whole milliseconds since 1970; None where there is none."""
        raw = self._raw.get(name)
        return None if raw is None else moment(raw, name)

    def _of(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        found = self._raw.get(name, default)
        if not isinstance(found, kind):
            raise ValueError(name)
        return found


def moment(raw: object, name: str) -> datetime:
    """The time of whole milliseconds since 1970.

    Raises:
        ValueError: it is none; names `name`.
    """
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise ValueError(name)
    try:
        return EPOCH + timedelta(milliseconds=raw)
    except OverflowError:
        raise ValueError(name) from None
