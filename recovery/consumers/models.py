"""A queue's consumer, as its event source mapping and its function describe it. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function.

    Attributes:
        name: its name.
        log_group: name of its log group.
        log_format: "Text" or "JSON".
        timeout_seconds: time that an invocation may take.
        reserved: concurrency that is reserved for it, None when none is; with 0 it never runs.
        log_level: least level of its own lines that is written ("ERROR", "FATAL" ...); "" for all.
    """

    name: str
    log_group: str
    log_format: str = "Text"
    timeout_seconds: int = 900
    reserved: int | None = None
    log_level: str = ""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One event source mapping of a queue.

    Attributes:
        function_arn: of the function that it feeds, with its version or alias.
        state: "Enabled", "Disabled" ...
        batching_seconds: time that messages wait for a batch to fill after they were received.
        batch_size: most messages of one invocation.
        reports_items: the function says which messages of a batch failed; else all of them come back.
        most_at_once: most invocations at once that the mapping makes; 0 when it is not bounded.
        function: None when its configuration could not be read.
        problem: why not, or "".
    """

    function_arn: str
    state: str = "Enabled"
    batching_seconds: int = 0
    batch_size: int = 1
    reports_items: bool = False
    most_at_once: int = 0
    function: Function | None = None
    problem: str = ""

    @property
    def is_off(self) -> bool:
        """True when messages are not taken from the queue."""
        return self.state in ("Disabled", "Disabling")

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name if self.function else self.function_arn.split(":function:")[-1].split(":")[0]

    @property
    def silence(self) -> str:
        """The reason why it can leave no line in any log, or ""."""
        if self.is_off:
            return f"the event source mapping of function {self.name} is disabled, so it takes no messages"
        if self.function is not None and self.function.reserved == 0:
            return f"function {self.name} has a reserved concurrency of 0, so it was throttled and never ran"
        return ""


@dataclass(frozen=True, slots=True)
class Load:
    """The invocations of a function, by minute (seconds since 1970, divided by 60).

    Attributes:
        throttles: attempts that Lambda refused for want of concurrency.
        invocations: those that ran.
    """

    throttles: Mapping[int, float] = field(default_factory=dict)
    invocations: Mapping[int, float] = field(default_factory=dict)

    def only_throttled(self, start: int, end: int) -> bool:
        """True when in these milliseconds the function was throttled and did not run at all."""
        minutes = range(start // 60_000, end // 60_000 + 1)
        return any(self.throttles.get(minute) for minute in minutes) and not any(
            self.invocations.get(minute) for minute in minutes
        )

    def throttled(self, start: int, end: int) -> bool:
        """True when in these milliseconds the function was throttled."""
        return any(self.throttles.get(minute) for minute in range(start // 60_000, end // 60_000 + 1))
