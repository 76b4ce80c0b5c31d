"""The survey as people read it: a table, a page, a text for the terminal, and a request to paste. Pure."""

from __future__ import annotations

import json
from typing import Any

from recovery.discover.models import Row, Setup, Survey
from recovery.markdown import cell


def request_of(survey: Survey) -> dict[str, Any]:
    """The request of the dead-letter path for these queues: dry until a person has looked."""
    policies: dict[str, dict[str, str]] = {
        row.setup.queue.name: {"log_group": row.log_group} for row in survey.rows if row.log_group
    }
    names = [row.setup.queue.name for row in survey.rows if row.setup.exists]
    request: dict[str, Any] = {"queues": names, "dry_run": True}
    if policies:
        request["queue_policies"] = policies
    return request


def table(survey: Survey) -> list[dict[str, Any]]:
    """One line for each dead-letter queue, for the table artifact."""
    return [_line(row) for row in survey.rows]


def headline(survey: Survey) -> str:
    """The survey in one sentence."""
    without = sum(not row.found for row in survey.rows)
    faults = sum(len(row.faults) for row in survey.rows)
    return f"{len(survey.rows)} dead-letter queue(s): evidence for {len(survey.rows) - without}, {faults} fault(s)"


def markdown(survey: Survey) -> str:
    """The page of the survey."""
    lines = ["# Dead-letter queues", "", f"{headline(survey)}.", ""]
    for row in survey.rows:
        sign = "found" if row.found else "**not found**"
        lines += [f"## {cell(row.setup.queue.name)}", "", f"Evidence: {sign}. {cell(row.evidence)}", ""]
        lines += [f"- `{fault.rule}` {cell(fault.text)}" for fault in row.faults] + [""]
    lines += ["## A request to paste", "", *_blank(survey), "```json", json.dumps(request_of(survey), indent=2), "```"]
    if survey.orphans:
        names = ", ".join(cell(queue.name) for queue in survey.orphans)
        lines += ["", f"Named like a dead-letter queue, and no queue's messages die into it: {names}."]
        lines += ["A Lambda function, a topic, a rule or a schedule may use it; name it in the request if so."]
    lines += [f"\nNot read: {cell(problem)}" for problem in survey.problems]
    return "\n".join(lines) + "\n"


def text(survey: Survey) -> str:
    """The survey for a terminal."""
    lines = [headline(survey)]
    for row in survey.rows:
        shown = _line(row)
        lines += ["", row.setup.queue.name]
        lines += [f"  {name}: {shown[name]}" for name in shown if name not in ("queue", "wrong") and shown[name] != ""]
        lines += [f"  ! {fault.rule}: {fault.text}" for fault in row.faults]
    if survey.orphans:
        lines += ["", "no queue's, but named like one: " + ", ".join(queue.name for queue in survey.orphans)]
    lines += ["", *_blank(survey), json.dumps(request_of(survey), indent=2)]
    lines += [f"not read: {problem}" for problem in survey.problems]
    return "\n".join(lines)


def _blank(survey: Survey) -> list[str]:
    """A line on the queues whose log group a person must fill in."""
    blank = [row.setup.queue.name for row in survey.rows if not row.found and row.setup.exists]
    if not blank:
        return []
    return [f"No evidence will be found for {', '.join(blank)}: add log_group or error_attributes.", ""]


def _line(row: Row) -> dict[str, Any]:
    setup = row.setup
    return {
        "queue": setup.queue.name,
        "sources": ", ".join(source.queue.name for source in setup.sources),
        "consumers": ", ".join(_consumers(setup)),
        "log group": ", ".join(_groups(setup)),
        "alarm": _alarm(setup),
        "messages": setup.queue.visible + setup.queue.hidden,
        "oldest": _age(setup.oldest_seconds) if setup.queue.visible + setup.queue.hidden else "",
        "kept for": _age(setup.queue.retention_seconds),
        "evidence": ("found: " if row.found else "not found: ") + row.evidence,
        "wrong": "; ".join(f"{fault.rule}: {fault.text}" for fault in row.faults),
    }


def _consumers(setup: Setup) -> list[str]:
    found = []
    for source in setup.sources:
        if source.consumers is None:
            found.append("not known")
        found += [f"{each.name}{' (off)' if each.is_off else ''}" for each in source.consumers or ()]
    return list(dict.fromkeys(found))


def _groups(setup: Setup) -> list[str]:
    known = {group.name: group for source in setup.sources for group in source.log_groups}
    found = []
    for source in setup.sources:
        for consumer in source.consumers or ():
            if (function := consumer.function) is not None:
                group = known.get(function.log_group)
                kept = f", {group.retention_days} days" if group and group.retention_days else ""
                found.append(f"{function.log_group} ({function.log_format}{kept})")
    return list(dict.fromkeys(found))


def _alarm(setup: Setup) -> str:
    if setup.alarms is None:
        return "not known"
    return ", ".join(dict.fromkeys(alarm.name for alarm in setup.alarms)) or "none"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{seconds // 60} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
