"""Lines and alerts about circuits that opened or closed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recovery.alerts import Alert
from recovery.dead_letters.circuit import Circuit
from recovery.paths import Path

SHOWN = 10


def openings(begun: Sequence[Circuit]) -> list[str]:
    """Return a line for each circuit that opened."""
    return _shown(
        begun,
        "the circuit of group {} opened: messages that were sent back came back. A few probe it, the others wait"
        " without using attempts",
    )


def closings(ended: Sequence[Circuit]) -> list[str]:
    """Return a line for each circuit that closed."""
    return _shown(ended, "the circuit of group {} closed: all that waits follows")


def _shown(changed: Sequence[Circuit], line: str) -> list[str]:
    lines = [line.format(f"{one.name} ({one.kind or 'not triaged'})") for one in changed[:SHOWN]]
    return [*lines, f"{len(changed) - SHOWN} more circuits did too"] if len(changed) > SHOWN else lines


def opened(queue: str, begun: Sequence[Circuit]) -> Alert:
    """Return the alert of circuits that opened."""
    errors = [f"  {one.name}: {one.error or '(none)'}" for one in begun[:SHOWN]]
    lines = [*openings(begun), "", "Errors:", *errors, "", "What to do: fix the cause; probes find out by themselves."]
    return _alert(queue, "circuits", f"Reprise: {len(begun)} circuit(s) of {queue} opened", lines, len(begun))


def closed(queue: str, ended: Sequence[Circuit]) -> Alert:
    """Return the notice of circuits that closed."""
    subject = f"Reprise: {len(ended)} circuit(s) of {queue} closed"
    return replace(_alert(queue, "circuits-closed", subject, closings(ended), len(ended)), is_end=True)


def _alert(queue: str, group: str, subject: str, lines: Sequence[str], count: int) -> Alert:
    text = "\n".join([f"Queue: {queue}", *lines])
    return Alert(Path.DEAD_LETTERS, queue, group, subject, text, count, is_circuit=True, is_group=False)
