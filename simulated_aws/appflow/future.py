"""The scriptable future: what the next runs of a flow, or of a connector, will do. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Course of one run.

    Attributes:
        error: `executionMessage` of a failed run; "" for a success.
        seconds: its duration.
        records: records processed.
        failed_records: records that the destination refused; with an empty `error` the run still counts as a success.
        bytes_written: None: as many as the records ask for on success, none on failure.
        has_bytes: True when the record holds them.
        has_records: True when the record holds the number of records processed.
        announced: True when EventBridge gets an event of its end (delivery is best effort).
        recorded: True when AppFlow keeps a record of it.
    """

    error: str = ""
    seconds: float = 2.0
    records: int = 10
    failed_records: int = 0
    bytes_written: int | None = None
    has_bytes: bool = True
    has_records: bool = True
    announced: bool = True
    recorded: bool = True

    @classmethod
    def failure(cls, error: str, **other: Any) -> Outcome:
        """A run that fails with this text before it wrote anything."""
        return cls(error=error, **{"records": 0, **other})

    @property
    def written(self) -> int:
        """Bytes written: as given, or 100 for each record of a success."""
        if self.bytes_written is not None:
            return self.bytes_written
        return 0 if self.error else self.records * 100


@dataclass
class Script:
    """Outcomes in their order, then one for all further runs.

    Attributes:
        flow: name or glob of the flows it is for; "" for none.
        profile: connector profile whose flows it is for (twins of a flow share it); "" for none.
        outcomes: used up one by one.
        then: of every further run; None: the next script that fits decides.
    """

    flow: str = ""
    profile: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    then: Outcome | None = None

    def fits(self, flow: str, profile: str) -> bool:
        """True when it names this flow."""
        return bool((self.flow and fnmatchcase(flow, self.flow)) or (self.profile and self.profile == profile))


class Future:
    """All scripts; the newest that fits and still has something to say decides."""

    def __init__(self) -> None:
        self._scripts: list[Script] = []

    def write(self, script: Script) -> None:
        """Put a script before the others."""
        self._scripts.insert(0, script)

    def clear(self) -> None:
        """Forget all scripts: every run succeeds."""
        self._scripts.clear()

    def next_outcome(self, flow: str, profile: str) -> Outcome:
        """Return the course of the next run."""
        for script in self._scripts:
            if not script.fits(flow, profile):
                continue
            if script.outcomes:
                return script.outcomes.pop(0)
            if script.then is not None:
                return script.then
        return Outcome()


def script_from_json(raw: Mapping[str, Any]) -> Script:
    """A script as the HTTP endpoint takes it.

    Raises:
        ValueError: an unknown member, or neither flow nor profile.
    """
    unknown = set(raw) - {"flow", "profile", "outcomes", "then"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    script = Script(
        flow=str(raw.get("flow", "")),
        profile=str(raw.get("profile", "")),
        outcomes=[_outcome(item) for item in _list(raw.get("outcomes", []))],
        then=_outcome(raw["then"]) if raw.get("then") is not None else None,
    )
    if not (script.flow or script.profile):
        raise ValueError("flow or profile: one of them is needed")
    return script


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError("outcomes: expected a list")
    return value


def _outcome(raw: Any) -> Outcome:
    if not isinstance(raw, Mapping):
        raise ValueError("an outcome is an object")
    unknown = set(raw) - set(Outcome.__dataclass_fields__)
    if unknown:
        raise ValueError(f"unknown in an outcome: {', '.join(sorted(unknown))}")
    return Outcome(**raw)
