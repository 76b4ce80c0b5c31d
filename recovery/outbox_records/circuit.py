"""The circuit of a topic: open while the topic takes nothing, so that its rows' attempts are not spent on it.

Its state is one record of the ledger, which all workers share. Only a successful probe closes it: one worker at a
time sends one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.errors import Conflict
from recovery.records import Record

if TYPE_CHECKING:
    from recovery.ledger import Ledger

PROBE_LEASE = timedelta(minutes=2)
_KEEP = timedelta(days=400)
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class State:
    """A circuit, as the ledger has it.

    Attributes:
        is_open: whether sends have stopped.
        since: when it opened.
        error: normalised text of the topic's error, or of the alarm.
        kind: kind of the error.
        probed: when the last probe was begun.
        closed: when it was closed, while people are not notified yet.
        throttled: since when SNS throttles and takes nothing; None while it takes anything.
    """

    is_open: bool
    since: datetime | None = None
    error: str = ""
    kind: str = ""
    probed: datetime | None = None
    closed: datetime | None = None
    throttled: datetime | None = None


class Circuit:
    """The circuit of one topic.

    Args:
        ledger: where its state stands.
        topic_arn: the topic.
        owner: names this run while it probes.
    """

    def __init__(self, ledger: Ledger, topic_arn: str, owner: str) -> None:
        self._ledger = ledger
        self._pk = f"circuit#outbox_records#{topic_arn}"
        self._owner = owner

    def read(self) -> State:
        """Its state."""
        return _state(self._record().data)

    def open(self, error: str, kind: str, now: datetime) -> bool:
        """Stop all sends; True when it was closed until now.

        Opening an open one keeps its beginning, and ends our probe.
        """

        def opened(data: Mapping[str, Any]) -> dict[str, Any]:
            since = data["since"] if data.get("open") else now.isoformat()
            kept = {"probed": data["probed"]} if data.get("open") and "probed" in data else {}
            probe = data.get("probe", {})
            if probe and probe["owner"] != self._owner:
                kept["probe"] = probe
            return {"open": True, "since": since, "error": error, "kind": kind, **kept}

        return not self._change(opened, now).get("open")

    def begin_probe(self, now: datetime, every: timedelta) -> bool:
        """Become the one worker that probes; False when another does, or the last probe was less than `every` ago."""
        record = self._record()
        data = dict(record.data)
        probe = data.get("probe", {})
        if not data.get("open") or (probe and _time(probe["lease"]) > now and probe["owner"] != self._owner):
            return False
        if "probed" in data and now - _time(data["probed"]) < every:
            return False
        data |= {
            "probed": now.isoformat(),
            "probe": {"owner": self._owner, "lease": (now + PROBE_LEASE).isoformat()},
        }
        try:
            self._write(record, data, now)
        except Conflict:
            return False
        return True

    def end_probe(self, now: datetime, *, tried: bool) -> None:
        """Let others probe: at once where nothing was tried, because there was no row to probe with."""

        def ended(data: Mapping[str, Any]) -> dict[str, Any]:
            if data.get("probe", {}).get("owner") != self._owner:
                return dict(data)
            gone = ("probe",) if tried else ("probe", "probed")
            return {name: value for name, value in data.items() if name not in gone}

        self._change(ended, now)

    def close(self, now: datetime) -> bool:
        """The probe that this run began has succeeded: let everything go. False when it was not ours to close."""

        def closed(data: Mapping[str, Any]) -> dict[str, Any]:
            ours = data.get("open") and data.get("probe", {}).get("owner") == self._owner
            return {"open": False, "closed": now.isoformat(), "untold": True} if ours else dict(data)

        before = self._change(closed, now)
        return bool(before.get("open")) and before.get("probe", {}).get("owner") == self._owner

    def notified(self, now: datetime) -> None:
        """People know that it closed."""
        self._change(lambda data: {name: value for name, value in data.items() if name != "untold"}, now)

    def throttled(self, now: datetime) -> datetime:
        """SNS throttled a whole round; since when it has taken nothing."""

        def since(data: Mapping[str, Any]) -> dict[str, Any]:
            return {**data, "throttled": data.get("throttled", now.isoformat())}

        before = self._change(since, now)
        return _time(before["throttled"]) if "throttled" in before else now

    def flows(self, now: datetime) -> None:
        """SNS took something: no throttle lasts."""
        self._change(lambda data: {name: value for name, value in data.items() if name != "throttled"}, now)

    # -- inside --------------------------------------------------------------------------------------------------

    def _record(self) -> Record:
        return self._ledger.read_record(self._pk, "state")

    def _write(self, record: Record, data: Mapping[str, Any], now: datetime) -> None:
        self._ledger.write_record(Record(record.pk, record.sk, data, record.version), now + _KEEP)

    def _change(self, of: Callable[[Mapping[str, Any]], dict[str, Any]], now: datetime) -> Mapping[str, Any]:
        """Replace the state by a function of it, whoever else writes; returns what it was before."""
        for attempt in range(_ROUNDS):
            record = self._record()
            wanted = of(record.data)
            if wanted == record.data:
                return record.data
            try:
                self._write(record, wanted, now)
            except Conflict:
                if attempt == _ROUNDS - 1:
                    raise
            else:
                return record.data
        raise AssertionError("unreachable")


def _state(data: Mapping[str, Any]) -> State:
    throttled = _time(data["throttled"]) if "throttled" in data else None
    if not data.get("open"):
        closed = _time(data["closed"]) if data.get("untold") else None
        return State(False, closed=closed, throttled=throttled)
    probed = data.get("probed")
    return State(True, _time(data["since"]), data["error"], data["kind"], _time(probed) if probed else None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
