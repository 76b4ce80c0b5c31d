"""A clock that tests move, for a process of its own.

`install` makes the whole process read the real time plus an offset: `time.time` and its relatives, and
`datetime.now`. Clocks for durations (`time.monotonic`, timers of asyncio and threads) stay real, so a server goes
on working while hours pass. Only the process of the simulated AWS calls this, before it imports anything that keeps a
reference to these functions. The clock moves forward only: a message sent stays sent.
"""

from __future__ import annotations

import datetime as datetime_module
import time as time_module
from datetime import UTC, tzinfo
from typing import Any

_real_time = time_module.time
_real_gmtime = time_module.gmtime
_real_localtime = time_module.localtime
_real_strftime = time_module.strftime
_real_datetime = datetime_module.datetime

_offset = 0.0


def offset() -> float:
    """Seconds that the clock is ahead of the real time."""
    return _offset


def advance(seconds: float) -> None:
    """Move the clock forward.

    Raises:
        ValueError: `seconds` is negative.
    """
    global _offset
    if seconds < 0:
        raise ValueError("the clock moves forward only")
    _offset += seconds


def reset() -> None:
    """Back to the real time (for an estate that was emptied)."""
    global _offset
    _offset = 0.0


def now() -> datetime_module.datetime:
    """The clock's time: aware, UTC."""
    return _real_datetime.fromtimestamp(_time(), UTC)


def _time() -> float:
    return _real_time() + _offset


def _time_ns() -> int:
    return int(_time() * 1_000_000_000)


def _gmtime(seconds: Any = None, /) -> time_module.struct_time:
    return _real_gmtime(_time() if seconds is None else seconds)


def _localtime(seconds: Any = None, /) -> time_module.struct_time:
    return _real_localtime(_time() if seconds is None else seconds)


def _strftime(form: str, moment: Any = None, /) -> str:
    return _real_strftime(form, _localtime() if moment is None else moment)


class _AnyDatetime(type):
    """Values made by C code are plain datetimes: they count as instances too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _real_datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _real_datetime)


class _MovedDatetime(_real_datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(_time(), UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_time())


def install() -> None:
    """Let every module of this process that is imported from now on read this clock."""
    time_module.time = _time
    time_module.time_ns = _time_ns
    time_module.gmtime = _gmtime
    time_module.localtime = _localtime
    time_module.strftime = _strftime
    datetime_module.datetime = _MovedDatetime  # type: ignore[misc]
