"""The digest as a page with pictures, and as a text for the alert topic. Pure: normalised text only."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date
from html import escape

from recovery.digest.digest import Digest
from recovery.report import cell, chart, code

SHOWN = 20
"""Groups that a page shows."""
TOLD = 8
"""Groups that the text names."""
_PATHS = {
    "appflow_runs": "AppFlow runs",
    "dead_letters": "dead letters",
    "outbox_records": "outbox records",
    "replication_tasks": "replication tasks",
}


def headline(told: Digest) -> str:
    """One sentence."""
    return f"{told.day}: {told.failed} failed, {told.came_back} came back, {told.waits} wait for a person"


def page(told: Digest, warnings: Sequence[str] = ()) -> str:
    """The digest as markdown, headed by its pictures."""
    lines = [f"# The day {told.day}", "", f"{headline(told)}.", ""]
    lines += [f"![Failed and came back, by day]({columns(told.by_day)})", ""]
    lines += ["## Against the week before", ""]
    lines += [f"- {trend.name}: **{trend.today:,.0f}{trend.unit}**, {trend.words()}" for trend in told.trends]
    lines.append("")
    groups = told.groups()
    if groups:
        bars = [(f"{group.kind or 'others'}, {group.source or 'others'}", group.count) for _, group in groups[:10]]
        lines += ["## What failed", "", f"![What failed, by group]({chart(bars)})", ""]
        for day, group in groups[:SHOWN]:
            name = f"{group.count} {cell(group.kind or 'others')} of {cell(group.source or 'many sources')}"
            lines += [f"### {name} ({_PATHS.get(day.path, day.path)})", ""]
            lines.append(f"- done: {_actions(group.actions)}")
            lines += [f"- error: {code(group.error)}"] if group.error else []
            lines += [f"- group: {code(group.group)}, for example {code(group.sample)}"] if group.group else []
            lines += [f"- next step: **{cell(group.next_step)}**"] if group.next_step else []
            lines.append("")
        if len(groups) > SHOWN:
            lines += [f"{len(groups) - SHOWN} more groups failed.", ""]
    if told.paths:
        lines += ["## By path", ""]
        lines += [f"- {line}" for line in _by_path(told)]
        lines.append("")
    lines += _waiting_lines(told)
    if warnings:
        lines += ["## Mind", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def text(told: Digest) -> str:
    """The digest as plain text."""
    lines = [f"{headline(told)}.", ""]
    lines += [f"{trend.name}: {trend.today:,.0f}{trend.unit}, {trend.words()}" for trend in told.trends]
    groups = told.groups()
    if groups:
        lines += ["", "What failed:"]
        for day, group in groups[:TOLD]:
            name = f"{group.count} {group.kind or 'others'} of {group.source or 'many sources'}"
            lines.append(f"- {name} ({_PATHS.get(day.path, day.path)}): {_actions(group.actions)}")
        lines += [f"- and {len(groups) - TOLD} more groups"] if len(groups) > TOLD else []
    if told.waiting:
        lines += ["", "What waits for a person:"]
        for one in told.waiting[:TOLD]:
            since = f" since {one.since} UTC" if one.since else ""
            lines.append(
                f"- {one.count} {one.kind or 'not judged'} of {one.source}{since}: {one.next_step or 'look at it'}"
            )
        lines += [f"- and {len(told.waiting) - TOLD} more groups"] if len(told.waiting) > TOLD else []
    lines += ["", "All of it: artifact daily-digest in Prefect. One item: run cases/describe."]
    return "\n".join(lines)


def columns(by_day: Sequence[tuple[date, int, int]]) -> str:
    """Two columns a day, failed and came back, as an SVG data URI, which Prefect's markdown shows."""
    most = max((max(failed, back) for _, failed, back in by_day), default=0) or 1
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="200" viewBox="0 0 640 200"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="640" height="200" rx="6" fill="#f8fafc"/>',
        '<rect x="20" y="10" width="10" height="10" fill="#dc2626"/><text x="34" y="19">failed</text>',
        '<rect x="90" y="10" width="10" height="10" fill="#0d9488"/><text x="104" y="19">came back</text>',
    ]
    width = 600 // max(1, len(by_day))
    for index, (day, failed, back) in enumerate(by_day):
        left = 20 + index * width
        for offset, value, colour in ((4, failed, "#dc2626"), (width // 2, back, "#0d9488")):
            height = max(2, round(120 * value / most)) if value else 0
            across = width // 2 - 6
            parts.append(
                f'<rect x="{left + offset}" y="{170 - height}" width="{across}" height="{height}" rx="2"'
                f' fill="{colour}"/>'
            )
            if value:
                middle = left + offset + across // 2
                parts.append(f'<text x="{middle}" y="{166 - height}" text-anchor="middle">{value:,}</text>')
        name = escape(f"{day:%a %d %b}")
        parts.append(f'<text x="{left + width // 2}" y="188" text-anchor="middle" fill="#0f172a">{name}</text>')
    parts.append("</svg>")
    return "data:image/svg+xml;base64," + base64.b64encode("".join(parts).encode()).decode()


def _waiting_lines(told: Digest) -> list[str]:
    if not told.waiting:
        return ["## Nothing waits for a person", ""]
    lines = ["## What waits for a person now", ""]
    for one in told.waiting[:SHOWN]:
        name = f"{one.count} {cell(one.kind or 'not judged')} of {cell(one.source)}"
        lines += [f"### {name} ({_PATHS.get(one.path, one.path)})", ""]
        lines += [f"- since: {one.since} UTC"] if one.since else []
        lines += [f"- why: {cell(one.why)}"] if one.why else []
        lines.append(f"- for example {code(one.sample)}" + (f", group {code(one.group)}" if one.group else ""))
        lines += [f"- next step: **{cell(one.next_step)}**"] if one.next_step else []
        lines.append("")
    if len(told.waiting) > SHOWN:
        lines += [f"{len(told.waiting) - SHOWN} more groups wait: run cases/list.", ""]
    if told.waiting_is_cut:
        lines += ["More waits than was counted here: run cases/list for a path of its own.", ""]
    return lines


def _by_path(told: Digest) -> list[str]:
    lines = []
    for day in told.paths:
        line = f"{_PATHS.get(day.path, day.path)}: {day.failed} failed ({_actions(day.actions) or 'nothing done'})"
        if day.recovered:
            line += f"; {day.recovered} recovered after {day.recovery_seconds / day.recovered:,.0f} s on average"
        if day.missed_events:
            line += f"; {day.missed_events} found without an event"
        if day.failed_runs:
            line += f"; {day.failed_runs} of {day.runs} runs failed"
        lines.append(line)
    return lines


def _actions(actions: dict[str, int]) -> str:
    return ", ".join(f"{count} {cell(action)}" for action, count in sorted(actions.items(), key=lambda pair: -pair[1]))
