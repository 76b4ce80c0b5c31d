"""A plan as a page and as text. Pure: normalised text only, no body and no value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from recovery.audit import one_line
from recovery.dead_letters.plans.make import PlanReport
from recovery.dead_letters.plans.plan import Plan
from recovery.links import NO_LINKS, Form, Links
from recovery.markdown import cell, code


def plan_page(plan: PlanReport, links: Links = NO_LINKS) -> str:
    """Return a new plan as one page of markdown, for review; its carrying out is a link where there is a UI."""
    lines = [f"# {plan.headline[0].upper()}{plan.headline[1:]}", "", "Nothing was sent. To carry exactly this out:", ""]
    lines += ["```sh", _command(plan), "```", ""]
    begin = {"plan_id": plan.plan_id, "digest": plan.digest, "dry_run": True}
    address = links.form(Form("carry it out", "dead-letters/carry-out", begin))
    run = f"[run dead-letters/carry-out]({address})" if address else "run `dead-letters/carry-out`"
    lines += [f"or {run} with plan_id {code(plan.plan_id)} and digest {code(plan.digest)}.", ""]
    lines += ["## Groups", ""]
    lines += [
        f"- {one.count} {cell(one.kind)} of {cell(one.source)}, group {code(one.group)}: {code(one.error)}"
        for one in plan.groups
    ]
    lines += ["", "## Destinations", ""]
    lines += [f"- {count} to {cell(queue)}" for queue, count in plan.destinations.items()]
    if plan.left_out:
        lines += ["", "## Left out", "", *(f"- {count}: {cell(why)}" for why, count in plan.left_out.items())]
    if plan.changed:
        lines += ["", "## Change", "", f"It fits {plan.changed} message(s). Samples, without values:", ""]
        lines += [f"- {cell(line)}" for line in plan.differences]
    lines += ["", "## Facts", "", *(f"- {line}" for line in facts(plan)), ""]
    if plan.warnings:
        lines += ["## Warnings", "", *(f"- {cell(line)}" for line in plan.warnings), ""]
    return "\n".join(lines)


def facts(plan: PlanReport) -> list[str]:
    """Return age, earlier attempts, ramp, repetition, cost and expiry, a line each."""
    lines = []
    if plan.oldest and plan.youngest:
        lines.append(f"first seen from {plan.oldest:%Y-%m-%d %H:%M} to {plan.youngest:%Y-%m-%d %H:%M} UTC")
    attempts = ", ".join(f"{count} after {number}" for number, count in sorted(plan.attempts.items()))
    lines.append(f"attempts so far: {attempts}; {plan.sent_before} came back from an earlier send")
    steps = ", ".join([*map(str, plan.steps), "rest"])
    each = timedelta(seconds=plan.settle_seconds)
    lines.append(f"steps: {steps}; the next one once {plan.share:.0%} of a step are proven back, each {each} at least")
    lines.append("a send whose answer was not read is repeated once its claim has ended, and is there twice then")
    cost = ", ".join(f"about {count} {service}" for service, count in plan.requests.items())
    lines.append(f"requests: {cost}")
    if plan.expires:
        lines.append(f"it must begin before {plan.expires:%Y-%m-%d %H:%M} UTC")
    if plan.another_person:
        lines.append("another person than its planner must carry it out")
    return [*lines, f"frozen set: {plan.stored_at}"]


def plan_text(plan: PlanReport) -> str:
    """Return a new plan as lines for a terminal."""
    lines = [plan.headline]
    lines += [f"  {one.count:>7}  {one.kind} {one.source} {one.group}: {one.error}" for one in plan.groups]
    lines += [f"  {count:>7}  to {queue}" for queue, count in plan.destinations.items()]
    lines += [f"  {count:>7}  left out: {why}" for why, count in plan.left_out.items()]
    lines += [f"  changed {plan.changed}: {line}" for line in plan.differences]
    lines += [f"  {line}" for line in facts(plan)]
    return "\n".join([*lines, f"digest {plan.digest}", "carry it out:", f"  {_command(plan)}"])


def state_text(plans: Sequence[Plan]) -> str:
    """Return plans with their states, a line each."""
    lines = []
    for plan in plans:
        made = f"made {plan.made:%Y-%m-%d %H:%M} by {plan.operator}: {plan.reason}"
        lines.append(one_line(f"{plan.headline} ({made})"))
        lines += [f"    left out {count}: {why}" for why, count in plan.left_out.items()]
    return "\n".join(lines) or "there is no plan"


def _command(plan: PlanReport) -> str:
    return f'reprise plans carry-out {plan.plan_id} {plan.digest} --reason "..." --yes'
