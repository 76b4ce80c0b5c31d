"""The report of a run as pages of the UI: markdown headed by a picture, and a table of its groups. Pure."""

from __future__ import annotations

from typing import Any

from recovery.chart import chart
from recovery.links import HISTORY, NO_LINKS, Links, forms, history
from recovery.markdown import LONGEST_ADVICE, advice, cell, code, cut, subject
from recovery.paths import done, info, meaning
from recovery.report import LISTED, GroupRow, RecoveryReport, headline, urgency

_BRIEF = 40
"""Characters of a next step in the table, so that the columns behind it stay in sight."""


def table(report: RecoveryReport, links: Links = NO_LINKS) -> list[dict[str, Any]]:
    """Rows of the table artifact: one for each group, with what a person does about it first."""
    named = info(report.path).named
    return [
        {
            # Cells neither wrap nor shrink, so a person sees the first columns only: few, and short.
            "next step": _brief(row.next_step),
            "count": row.count,
            "kind": row.kind,
            "items" if named else "source": ", ".join(row.samples) if named else row.source,
            "action": _outcome(row),
            "form": next((links.form(form) for form in forms(report.path, row, links.own)), ""),
            "group": row.group,
            "why": cut(row.reason),
            "examples": ", ".join(row.samples),
            "whole next step": cut(row.next_step, LONGEST_ADVICE),
        }
        for row in sorted(report.groups, key=urgency)[:LISTED]
    ]


def markdown(report: RecoveryReport, title: str, links: Links = NO_LINKS) -> str:
    """The report as one page of markdown: a person's tasks first, then what was done, then the details."""
    lines = [f"# {title}", "", headline(report), "", *_waits(report)]
    bars = [(done(action), count) for action, count in sorted(report.by_action.items(), key=lambda pair: -pair[1])]
    if report.unsettled:
        bars.append(("did not go through", report.unsettled))
    if report.recovered:
        bars.append(("recovered", report.recovered))
    bars += list(report.pictures)
    if bars:
        labels = ", ".join(f"{label} {count}" for label, count in bars)
        lines += [f"![{title}: {labels}]({chart(bars)})", ""]
    if known := [f"{done(action)}: {words}" for action in sorted(report.by_action) if (words := meaning(action))]:
        lines += [f"({'; '.join(known)})", ""]
    if report.problems:
        lines += ["## Could not be done", "", *(f"- {cell(problem)}" for problem in report.problems[:LISTED]), ""]
    shown = sorted(report.groups, key=urgency)[:LISTED]
    for heading, rows in (
        ("For a person to do", [row for row in shown if row.next_step or not row.settled]),
        ("Done", [row for row in shown if row.settled and not row.next_step]),
    ):
        if rows:
            lines += [f"## {heading}", "", *(line for row in rows for line in _group(report.path, row, links))]
    if len(report.groups) > LISTED:
        lines += [f"{len(report.groups) - LISTED} more groups are in the full list.", ""]
    if report.warnings:
        lines += ["## Warnings", "", *(f"- {cell(warning)}" for warning in report.warnings[:LISTED]), ""]
    lines += ["## This run", "", *_facts(report)]
    return "\n".join(lines)


def _waits(report: RecoveryReport) -> list[str]:
    rows = [row for row in report.groups if row.next_step or not row.settled]
    if not rows:
        return ["Nothing waits for a person.", ""] if report.found and not report.problems else []
    alike = "of one kind" if len(rows) == 1 else f"in {len(rows)} groups"
    return [f"**{sum(row.count for row in rows)} wait for a person**, {alike}.", ""]


def _outcome(row: GroupRow) -> str:
    return done(row.action) if row.settled else f"{row.action}, did not go through"


def _brief(text: str) -> str:
    first = text.split(";", maxsplit=1)[0]
    return first if len(first) <= _BRIEF else f"{first[: _BRIEF - 1]}…"


def _group(path: str, row: GroupRow, links: Links) -> list[str]:
    # Lines, not a table: both of Prefect's user interfaces wrap lines, and neither wraps cells.
    of = subject(row.samples, row.count) if info(path).named else row.source
    lines = [f"### {row.count} {cell(row.kind or 'not diagnosed')} of {cell(of)}: {cell(_outcome(row))}", ""]
    if row.next_step:
        lines.append(f"- next step: {advice(row.next_step)}")
    if shown := links.markdown(forms(path, row, links.own)):
        lines.append(f"- {'; '.join(shown)}")
    places = [("your runbook", links.runbook(path, row.source, row.kind, row.group))] if row.next_step else []
    if look := [f"[{label}]({address})" for label, address in (*places, *row.pages) if address]:
        lines.append(f"- look: {'; '.join(look)}")
    lines.append(f"- why: {cell(row.reason)}")
    if row.error:
        lines.append(f"- error: {code(row.error)}")
    samples = [code(sample) for sample in row.samples[:1]]
    if samples and (address := links.form(history(path, row.samples[0]))):
        samples = [f"{samples[0]} ([{HISTORY}]({address}))"]
    if row.group:  # what a replay or a policy names
        lines.append(f"- group: {', for example '.join([code(row.group), *samples])}")
    elif "(" in "".join(samples):
        lines.append(f"- for example {samples[0]}")
    if row.rule:
        decided = f", diagnosed by {code(row.diagnosis)}" if row.diagnosis else ""
        lines.append(f"- rule: {code(row.rule)}{decided}")
    return [*lines, ""]


def _facts(report: RecoveryReport) -> list[str]:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.by_kind.items()))
    requests = ", ".join(f"{service} {count}" for service, count in sorted(report.requests.items()))
    facts = [f"- started {report.started:%Y-%m-%d %H:%M:%S} UTC, took {report.seconds:.1f} s"]
    if kinds:
        facts.append(f"- kinds: {kinds}")
    if report.seconds_to_recover is not None:
        facts.append(f"- mean time to recover: {report.seconds_to_recover:.0f} s")
    if report.missed_events:
        facts.append(f"- found by the sweep without an event: {report.missed_events}")
    facts += [f"- {cell(fact)}" for fact in report.facts]
    facts.append(f"- AWS requests: {sum(report.requests.values())} ({requests or 'none'})")
    if report.full_list:
        facts.append(f"- full list: `{report.full_list}`")
    return facts
