"""The digest as a page with pictures, and as a text for the alert topic. Pure: normalised text only."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from datetime import date
from html import escape

from recovery.chart import chart
from recovery.digest.days import DayGroup
from recovery.digest.digest import Digest, Waiting
from recovery.links import NO_LINKS, Links, group_forms
from recovery.markdown import advice, cell, code, subject
from recovery.paths import PATHS, Path, done

SHOWN = 20
"""Groups that a page shows."""
LISTED = 8
"""Groups that the text names."""


def headline(digest: Digest) -> str:
    """One sentence."""
    return f"{digest.day}: {digest.failed} failed, {digest.came_back} came back, {digest.waits} wait for a person"


def page(digest: Digest, warnings: Sequence[str] = (), links: Links = NO_LINKS) -> str:
    """The digest as markdown: a picture, then what waits for a person, then the day."""
    lines = [f"# The day {digest.day}", "", f"{headline(digest)}.", ""]
    lines += [f"![Failed and came back, by day]({columns(digest.by_day)})", ""]
    lines += _waiting_lines(digest, links)
    lines += ["## Against the week before", ""]
    lines += [f"- {trend.name}: **{trend.today:,.0f}{trend.unit}**, {trend.words()}" for trend in digest.trends]
    lines.append("")
    groups = digest.groups()
    if groups:
        bars: Counter[str] = Counter()
        for _, group in groups:
            bars[f"{_kind(group)}, {_of(group)}"] += group.count
        lines += ["## What failed", "", f"![What failed, by kind]({chart(bars.most_common(10))})", ""]
        for day, group in groups[:SHOWN]:
            lines += [
                f"### {group.count} {cell(_kind(group))} of {cell(_of(group))} ({_path(day.path)})",
                "",
            ]
            lines.append(f"- done: {_actions(group.actions)}")
            lines += [f"- error: {code(group.error)}"] if group.error else []
            lines += _which(group)
            lines += _step(group)
            lines.append("")
        if len(groups) > SHOWN:
            lines += [f"{len(groups) - SHOWN} more groups failed.", ""]
    if digest.paths:
        lines += ["## By path", ""]
        lines += [f"- {line}" for line in _by_path(digest)]
        lines.append("")
    if warnings:
        lines += ["## Warnings", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def text(digest: Digest) -> str:
    """The digest as plain text."""
    lines = [f"{headline(digest)}.", ""]
    lines += [f"{trend.name}: {trend.today:,.0f}{trend.unit}, {trend.words()}" for trend in digest.trends]
    groups = digest.groups()
    if groups:
        lines += ["", "Failures:"]
        for day, group in groups[:LISTED]:
            lines.append(
                f"- {group.count} {_kind(group)} of {_of(group)} ({_path(day.path)}): {_actions(group.actions)}"
            )
        lines += [f"- and {len(groups) - LISTED} more groups"] if len(groups) > LISTED else []
    if digest.waiting:
        lines += ["", "Waiting for a person:"]
        for one in digest.waiting[:LISTED]:
            since = f" since {one.since} UTC" if one.since else ""
            lines.append(f"- {one.count} {_kind(one)} of {_of(one)}{since}: {one.next_step or 'inspect it'}")
        lines += [f"- and {len(digest.waiting) - LISTED} more groups"] if len(digest.waiting) > LISTED else []
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


def _waiting_lines(digest: Digest, links: Links) -> list[str]:
    if not digest.waiting:
        return ["## Nothing waits for a person", ""]
    lines = ["## Waiting for a person now", ""]
    for one in digest.waiting[:SHOWN]:
        lines += [f"### {one.count} {cell(_kind(one))} of {cell(_of(one))} ({_path(one.path)})", ""]
        lines += [f"- since: {one.since} UTC"] if one.since else []
        lines += [f"- why: {cell(one.why)}"] if one.why else []
        lines += _which(one)
        lines += _step(one)
        forms = group_forms(one.path, [one.source], one.group, links.own)
        lines += (
            [f"- {'; '.join(links.markdown(forms))}"]
            if links.ui and (one.group or one.path != Path.DEAD_LETTERS)
            else []
        )
        lines.append("")
    if len(digest.waiting) > SHOWN:
        lines += [f"{len(digest.waiting) - SHOWN} more groups wait: run cases/list.", ""]
    if digest.waiting_is_cut:
        lines += ["More waits than was counted here: run cases/list for a path of its own.", ""]
    return lines


def _path(path: str) -> str:
    return PATHS[path].label if path in PATHS else path


def _kind(group: DayGroup | Waiting) -> str:
    return group.kind or ("not diagnosed" if group.source else "of all kinds")


def _of(group: DayGroup | Waiting) -> str:
    return subject(group.names, group.count) if group.names else group.source or "many sources"


def _which(group: DayGroup | Waiting) -> list[str]:
    example = f"for example {code(group.sample)}" if group.sample else ""
    line = ", ".join(filter(None, [f"group: {code(group.group)}" if group.group else "", example]))
    return [f"- {line}"] if line else []


def _step(group: DayGroup | Waiting) -> list[str]:
    whose = f" for {code(group.sample)}" if len(group.names) > 1 else ""  # a command is for one of them
    return [f"- next step{whose}: {advice(group.next_step)}"] if group.next_step else []


def _by_path(digest: Digest) -> list[str]:
    lines = []
    for day in digest.paths:
        line = f"{_path(day.path)}: {day.failed} failed ({_actions(day.actions) or 'nothing done'})"
        if day.recovered:
            line += f"; {day.recovered} recovered after {day.recovery_seconds / day.recovered:,.0f} s on average"
        if day.missed_events:
            line += f"; {day.missed_events} found without an event"
        if day.failed_runs:
            line += f"; {day.failed_runs} of {day.runs} runs failed"
        lines.append(line)
    return lines


def _actions(actions: dict[str, int]) -> str:
    most_first = sorted(actions.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{count} {cell(done(action))}" for action, count in most_first)
