"""Histories as pages and tables for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recovery.markdown import advice, cell, code, subject
from recovery.paths import info
from recovery.story import Story

MOST_ROWS = 500
"""Rows of a table; an artifact lives in Prefect's database."""


def headline(told: Story) -> str:
    """One sentence: where it stands."""
    place = "" if info(told.path).named else f", {told.source}"
    return f"{told.key}: {told.meaning} ({told.path.replace('_', ' ')}{place})"


def story_page(stories: Sequence[Story], warnings: Sequence[str] = ()) -> str:
    """The histories as one page of markdown."""
    lines: list[str] = []
    for told in stories:
        lines += [f"# What happened to {code(told.key)}", "", f"**{cell(told.meaning)}**", "", *_facts(told), ""]
        lines += ["## History", ""]
        lines += [f"- {_when(one.at)} {cell(one.what)}" for one in told.moments] or ["- nothing was kept"]
        lines.append("")
        if told.archive or told.log:
            lines += ["## Where more is", ""]
            lines += [f"- copy in the archive: {code(address)}" for address in told.archive]
            lines += [f"- [log lines of the consumer]({told.log})"] if told.log else []
            lines.append("")
    if warnings:
        lines += ["## Mind", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def list_page(stories: Sequence[Story], warnings: Sequence[str], now: datetime) -> str:
    """Count the waiting cases by path and group, as one page of markdown."""
    lines = [
        "# Cases that wait for a person",
        "",
        f"{len(stories)} of them at {now:%Y-%m-%d %H:%M} UTC, the largest groups first.",
        "",
    ]
    groups: dict[tuple[str, str, str, str], list[Story]] = {}
    for told in stories:
        groups.setdefault((told.path, told.source, told.kind, told.group), []).append(told)
    for (path, source, kind, group), alike in sorted(groups.items(), key=lambda pair: -len(pair[1]))[:50]:
        first = next((one for one in alike if one.next_step), alike[0])
        of = subject([one.key for one in alike], len(alike)) if info(path).named else source
        lines += [f"### {len(alike)} {cell(kind or 'not triaged')} of {cell(of)} ({path.replace('_', ' ')})", ""]
        lines += [f"- why: {cell(first.reason or first.meaning)}"]
        lines += [f"- error: {code(first.error)}"] if first.error else []
        lines += [
            f"- group: {code(group)}, for example {code(first.key)}" if group else f"- example: {code(first.key)}"
        ]
        lines += [f"- next step: {advice(first.next_step)}"] if first.next_step else []
        lines.append("")
    if len(groups) > 50:
        lines += [f"{len(groups) - 50} more groups are in the table.", ""]
    if warnings:
        lines += ["## Mind", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def list_rows(stories: Sequence[Story], now: datetime) -> list[dict[str, Any]]:
    """Rows of a table of cases."""
    return [
        {
            # The columns that a person needs first are on the left: the table is wider than the page.
            "what": told.key,
            "kind": told.kind,
            "age": age(told, now),
            "next step": told.next_step,
            "why": told.reason,
            "state": told.state,
            "path": told.path,
            "source": told.source,
            "group": told.group,
            "attempts": told.attempts,
        }
        for told in stories[:MOST_ROWS]
    ]


def age(told: Story, now: datetime) -> str:
    """Time since the first moment of it that was kept, in words."""
    first = next((one.at for one in told.moments if one.at), None)
    if first is None:
        return "-"
    minutes = max(0, int((now - first).total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2_880 else f"{minutes // 1_440} d"


def _facts(told: Story) -> list[str]:
    facts = [f"- path: {told.path.replace('_', ' ')}, source: {cell(told.source)}, state: {cell(told.state)}"]
    if told.kind:
        facts.append(f"- diagnosis: {cell(told.kind)}" + (f" by the rule {code(told.rule)}" if told.rule else ""))
    if told.error:
        facts.append(f"- error: {code(told.error)}")
    if told.reason:
        facts.append(f"- decided: {cell(told.reason)}")
    if told.attempts:
        facts.append(f"- attempts: {told.attempts}")
    if told.due:
        facts.append(f"- next attempt: {_when(told.due)}")
    if told.group:
        facts.append(f"- group: {code(told.group)}")
    if len(told.ids) > 1:
        facts.append(f"- known as: {', '.join(code(one) for one in told.ids)}")
    if told.next_step:
        facts.append(f"- next step: {advice(told.next_step)}")
    return facts


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC:" if moment else "(no time kept):"
