"""The limit on reading logs in one run, and the count of what was read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LogAllowance:
    """Counts requests to CloudWatch Logs and the time that they scanned.

    Attributes:
        most_requests: requests that the run may make.
        most_seconds: seconds of logs that it may scan: the sum of the windows that it asks for.
        requests, seconds: spent so far.
        scanned_bytes: bytes that Logs Insights says it scanned, which is what AWS charges for.
        refused: reads that were not made for want of allowance.
        silence: the line that says that CloudWatch Logs does not answer, or ""; then it is not asked again.
    """

    most_requests: int = 300
    most_seconds: int = 172_800
    requests: int = 0
    seconds: float = 0.0
    scanned_bytes: float = 0.0
    refused: int = field(default=0)
    silence: str = ""

    def allows(self, milliseconds: int) -> bool:
        """True when a window of this length may be asked for; it then counts as scanned."""
        if self.requests >= self.most_requests or self.seconds + milliseconds / 1000 > self.most_seconds:
            self.refused += 1
            return False
        self.seconds += milliseconds / 1000
        return True

    def request(self) -> bool:
        """True when one more request may be made; it then counts."""
        if self.requests >= self.most_requests:
            self.refused += 1
            return False
        self.requests += 1
        return True

    def fact(self) -> str:
        """One line for the report; "" when no log was read."""
        if not self.requests and not self.refused:
            return ""
        size = f", {self.scanned_bytes / 1e9:.2f} GB by Logs Insights" if self.scanned_bytes else ""
        left = "; the allowance for logs is used up, and the next runs read on" if self.refused else ""
        return f"Logs read: {self.requests} requests, {_duration(self.seconds)} of logs scanned{size}{left}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes >= 120 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
