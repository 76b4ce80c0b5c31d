"""Histories as pages and tables for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recovery.closing.notes import Notes
from recovery.links import NO_LINKS, Links, group_forms
from recovery.markdown import advice, cell, code, subject
from recovery.paths import Path, info
from recovery.story import Story

MOST_ROWS = 500
"""Rows of a table; an artifact lives in Prefect's database."""


def headline(story: Story) -> str:
    """One sentence: where it stands."""
    place = "" if info(story.path).named else f", {story.source}"
    return f"{story.key}: {story.meaning} ({story.path.replace('_', ' ')}{place})"


def story_page(stories: Sequence[Story], warnings: Sequence[str] = (), links: Links = NO_LINKS) -> str:
    """The histories as one page of markdown."""
    lines: list[str] = []
    for story in stories:
        lines += [f"# History of {code(story.key)}", "", f"**{cell(story.meaning)}**", "", *_facts(story, links), ""]
        lines += ["## History", ""]
        lines += [f"- {_when(one.at)} {cell(one.what)}" for one in story.moments] or ["- nothing was kept"]
        lines.append("")
        if story.archive or story.log:
            lines += ["## Where more is", ""]
            lines += [f"- copy in the archive: {code(address)}" for address in story.archive]
            lines += [f"- [log lines of the consumer]({story.log})"] if story.log else []
            lines.append("")
    if warnings:
        lines += ["## Warnings", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def list_page(
    stories: Sequence[Story],
    warnings: Sequence[str],
    now: datetime,
    notes: Sequence[Notes] = (),
    title: str = "Cases that wait for a person",
) -> str:
    """Count the cases by path and group, as one page of markdown."""
    lines = [
        f"# {title}",
        "",
        f"{len(stories)} of them at {now:%Y-%m-%d %H:%M} UTC, the largest groups first.",
        "",
    ]
    groups: dict[tuple[str, str, str, str], list[Story]] = {}
    for story in stories:
        groups.setdefault((story.path, story.source, story.kind, story.group), []).append(story)
    for (path, source, kind, group), alike in sorted(groups.items(), key=lambda pair: -len(pair[1]))[:50]:
        first = next((one for one in alike if one.next_step), alike[0])
        of = subject([one.key for one in alike], len(alike)) if info(path).named else source
        lines += [f"### {len(alike)} {cell(kind or 'not diagnosed')} of {cell(of)} ({path.replace('_', ' ')})", ""]
        lines += [f"- why: {cell(first.reason or first.meaning)}"]
        lines += [f"- error: {code(first.error)}"] if first.error else []
        lines += [
            f"- group: {code(group)}, for example {code(first.key)}" if group else f"- example: {code(first.key)}"
        ]
        lines += [f"- next step: {advice(first.next_step)}"] if first.next_step else []
        lines.append("")
    if len(groups) > 50:
        lines += [f"{len(groups) - 50} more groups are in the table.", ""]
    lines += notes_page(notes, now)
    if warnings:
        lines += ["## Warnings", "", *(f"- {cell(warning)}" for warning in warnings), ""]
    return "\n".join(lines)


def notes_page(notes: Sequence[Notes], now: datetime) -> list[str]:
    """The owners, snoozes and comments of groups, as lines of markdown."""
    lines: list[str] = []
    for note in notes:
        about = [f"owner {cell(note.owner)}"] if note.owner else []
        if note.is_snoozed(now):
            about.append(f"snoozed until {note.snoozed_until:%Y-%m-%d %H:%M} UTC")
        lines.append(f"- group {code(note.group)}: {', '.join(about) or 'no owner'}")
        lines += [f"  - {one.at:%Y-%m-%d %H:%M} {cell(one.operator)}: {cell(one.text)}" for one in note.comments[-5:]]
    return ["## Notes", "", *lines, ""] if lines else []


def list_rows(stories: Sequence[Story], now: datetime, page: int = 1) -> list[dict[str, Any]]:
    """Rows of a table of cases."""
    return [
        {
            # The columns that a person needs first are on the left: the table is wider than the page.
            "what": story.key,
            "kind": story.kind,
            "age": age(story, now),
            "next step": story.next_step,
            "why": story.reason,
            "state": story.state,
            "path": story.path,
            "source": story.source,
            "group": story.group,
            "attempts": story.attempts,
        }
        for story in stories[(page - 1) * MOST_ROWS : page * MOST_ROWS]
    ]


def age(story: Story, now: datetime) -> str:
    """Time since the first moment of it that was kept, in words."""
    first = next((one.at for one in story.moments if one.at), None)
    if first is None:
        return "-"
    minutes = max(0, int((now - first).total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2_880 else f"{minutes // 1_440} d"


def _facts(story: Story, links: Links) -> list[str]:
    facts = [f"- path: {story.path.replace('_', ' ')}, source: {cell(story.source)}, state: {cell(story.state)}"]
    if story.kind:
        facts.append(f"- diagnosis: {cell(story.kind)}" + (f" by the rule {code(story.rule)}" if story.rule else ""))
    if story.error:
        facts.append(f"- error: {code(story.error)}")
    if story.reason:
        facts.append(f"- decided: {cell(story.reason)}")
    if story.attempts:
        facts.append(f"- attempts: {story.attempts}")
    if story.due:
        facts.append(f"- next attempt: {_when(story.due)}")
    if story.group:
        facts.append(f"- group: {code(story.group)}")
    if len(story.ids) > 1:
        facts.append(f"- known as: {', '.join(code(one) for one in story.ids)}")
    if story.next_step:
        is_known = links.ui and (story.group or story.path != Path.DEAD_LETTERS)  # else it would be the whole queue
        forms = group_forms(story.path, [story.source], story.group, links.own) if is_known else ()
        acts = f": {'; '.join(links.markdown(forms))}" if forms else ""
        facts = [f"- next step: {advice(story.next_step)}{acts}", *facts]
    return facts


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC:" if moment else "(no time kept):"
