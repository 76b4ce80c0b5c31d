"""The outcome of closing, reopening and noting as pages for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recovery.audit import Act
from recovery.closing.close import Closed
from recovery.markdown import cell, code


def closed_page(closed: Closed, warnings: Sequence[str] = ()) -> str:
    """Return the outcome as one page of markdown."""
    lines = [f"# {closed.headline[0].upper()}{closed.headline[1:]}", ""]
    if closed.by_group:
        lines += ["## By group", ""]
        lines += [f"- {count}: {code(name)}" for name, count in sorted(closed.by_group.items(), key=lambda p: -p[1])]
        lines += ["", f"For example {', '.join(code(key) for key in closed.examples[:5])}", ""]
    if closed.groups:
        lines += [f"Groups as such: {', '.join(code(group) for group in closed.groups)}", ""]
    if closed.left_out:
        lines += ["## Left alone", ""]
        lines += [f"- {count}: {cell(why)}" for why, count in closed.left_out.items()] + [""]
    if warnings:
        lines += ["## Warnings", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def text(closed: Closed, warnings: Sequence[str] = ()) -> str:
    """Return the outcome as lines for a terminal."""
    lines = [closed.headline]
    lines += [f"  {count:>7}  {name}" for name, count in sorted(closed.by_group.items(), key=lambda p: -p[1])]
    lines += [f"  left alone {count}: {why}" for why, count in closed.left_out.items()]
    lines += [f"  warning: {warning}" for warning in warnings]
    if closed.dry_run:
        lines.append("nothing was changed: repeat it with --yes")
    return "\n".join(lines)


def audit_text(acts: Iterable[Act]) -> str:
    """Return the acts of a day as lines, or one line when there are none."""
    return "\n".join(act.line() for act in acts) or "nobody started anything on that day"
