"""Links to filled forms, and the commands that stand where there is no UI."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.links import Form, Links, forms, history
from recovery.outbox_records.policy import OutboxPolicy
from recovery.paths import PATHS
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.report import GroupRow
from recovery.report_page import markdown, table
from tests.unit.test_report import entry, report

PLAN = "dead-letters/plan"
LINKS = Links("http://ui:4200", {PLAN: "d-1", "cases/describe": "d-2"}, "r-1")
PARKED = entry("m-1", action="alert", kind="AUTH_FAILURE", group="g", next_step="renew the key")


def row(**changes: Any) -> GroupRow:
    [made] = report(entry(next_step="fix it", **changes)).groups
    return made


def test_a_link_opens_a_filled_form() -> None:
    """Its parameters are JSON in the address, whatever they hold."""
    form = Form("replay", PLAN, {"queues": ["a&b (c)"], "dry_run": True})
    address = urlsplit(LINKS.form(form))
    assert (address.scheme, address.netloc) == ("http", "ui:4200")
    assert address.path == "/v2/deployments/deployment/d-1/run"
    [filled] = parse_qs(address.query)["parameters"]
    assert json.loads(filled) == {"request": {"queues": ["a&b (c)"], "dry_run": True}}
    assert "(" not in LINKS.form(form)


@pytest.mark.parametrize("links", [Links(), Links("http://ui", {}, "r"), Links("", {PLAN: "d-1"})])
def test_without_a_ui_there_is_a_command(links: Links) -> None:
    """The same run, by a command to copy."""
    form = Form("replay", PLAN, {"groups": ["it's"]})
    assert links.form(form) == ""
    words = shlex.split(form.command)
    assert words[:4] == ["prefect", "deployment", "run", PLAN]
    assert json.loads(words[5]) == {"request": {"groups": ["it's"]}}
    [line] = links.markdown([form, form])
    assert line.startswith("replay: `prefect deployment run ")


def test_the_address_of_the_run_needs_both() -> None:
    """No UI or no run: none."""
    assert LINKS.run == "http://ui:4200/v2/runs/flow-run/r-1"
    assert Links("http://ui").run == Links(run_id="r").run == ""


@pytest.mark.parametrize(
    ("path", "action", "deployment", "request_"),
    [
        ("dead_letters", "alert", PLAN, {"queues": ["orders-dlq"], "groups": ["g"]}),
        ("dead_letters", "archive", "cases/close", {"groups": ["g"], "how": "dismiss", "dry_run": True}),
        ("replication_tasks", "escalate", "replication-tasks/by-hand", {"tasks": ["m-1"], "cause_fixed": True}),
        ("appflow_runs", "escalate", "appflow-runs/by-hand", {"flows": ["m-1"], "cause_fixed": True}),
        ("outbox_records", "exhaust", "outbox-records/by-hand", {"mode": "revive", "rows": ["m-1"], "topic_arn": "t"}),
    ],
)
def test_each_path_has_a_form_for_what_waits(path: str, action: str, deployment: str, request_: Any) -> None:
    """In the run's own estate, and always dry first."""
    own = {"estate": "west", "topic_arn": "t", "dry_run": False, "limit": 5}
    [form] = [form for form in forms(path, row(action=action), own) if form.deployment == deployment]
    assert {**form.request, **request_} == form.request
    assert form.request["estate"] == "west"
    assert form.request.get("dry_run", True) is True
    assert "limit" not in form.request


@pytest.mark.parametrize("path", [*PATHS, "of a later version"])
def test_what_needs_nobody_has_no_form(path: str) -> None:
    """No next step, no form."""
    [settled] = report(entry()).groups
    assert forms(path, settled, {}) == ()


def test_the_report_links_its_next_steps() -> None:
    """The form of the group, and the history of an example, on the page; the form in the table."""
    shown = markdown(report(PARKED), "Dead letters", LINKS)
    assert "](http://ui:4200/v2/deployments/deployment/d-1/run?parameters=%7B" in shown
    assert f"]({LINKS.form(history('dead_letters', 'm-1'))})" in shown
    [line] = table(report(PARKED), LINKS)
    assert str(line["form"]).startswith("http://ui:4200/v2/deployments/deployment/d-1/run?")


RUNBOOKS = {
    "g": "https://w/group",
    "orders-*": "https://w/glob",
    "AUTH_FAILURE": "https://w/kind",
    "*": "https://w/all",
}


@pytest.mark.parametrize(
    ("source", "kind", "group", "address"),
    [
        ("orders-dlq", "AUTH_FAILURE", "g", "https://w/group"),
        ("orders-dlq", "AUTH_FAILURE", "h", "https://w/glob"),
        ("stock-dlq", "AUTH_FAILURE", "h", "https://w/kind"),
        ("stock-dlq", "", "", "https://w/all"),
    ],
)
def test_a_runbook_is_the_nearest_one(source: str, kind: str, group: str, address: str) -> None:
    """Of the group, else of the source, else of the kind, else of everything."""
    links = Links(own={"policy": {"runbooks": RUNBOOKS}})
    assert links.runbook("dead_letters", source, kind, group) == address
    assert Links().runbook("dead_letters", source, kind, group) == ""


def test_a_source_with_a_policy_of_its_own_has_its_runbook() -> None:
    """Before the run's; of several policies the nearest, by name, URL or ARN."""
    own = {
        "policy": {"runbooks": {"*": "https://w/all"}},
        "queue_policies": {
            "orders*": {"runbooks": {"*": "https://w/any"}},
            "orders-*": {"runbooks": {"*": "https://w/o"}},
            "arn:aws:sqs:eu-central-1:111122223333:items-dlq": {"runbooks": {"*": "https://w/i"}},
        },
    }
    assert Links(own=own).runbook("dead_letters", "orders-dlq", "", "") == "https://w/o"
    assert Links(own=own).runbook("dead_letters", "items-dlq", "", "") == "https://w/i"
    assert Links(own=own).runbook("dead_letters", "stock-dlq", "", "") == "https://w/all"


@pytest.mark.parametrize("policy", [DeadLetterPolicy, OutboxPolicy, ReplicationPolicy, AppFlowPolicy])
@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://w/a)[b](c", "https://w/a b", "https://w/\nx"])
def test_what_is_no_address_is_refused(policy: Callable[..., Any], address: str) -> None:
    """One that could end its link, or run in the reader's browser, is named as a mistake."""
    with pytest.raises(ValidationError, match="runbooks"):
        policy(runbooks={"*": address})
    assert policy(runbooks={"*": "https://wiki.example.com/a?b=c#d"})


def test_a_report_links_to_the_runbook_and_the_console() -> None:
    """In the part for a person only."""
    links = Links(own={"policy": {"runbooks": {"*": "https://w/all"}}})
    waits = entry("m-1", action="alert", next_step="fix it", pages=(("queue", "https://aws/q"),))
    page = markdown(report(waits, entry("m-2")), "Dead letters", links)
    assert page.count("[your runbook](https://w/all); [queue](https://aws/q)") == 1


def test_a_report_begins_with_how_many_wait() -> None:
    """And explains the words that a new reader could take for something else."""
    page = markdown(report(PARKED, entry("m-2", action="leave", group="h", next_step="look")), "Dead letters")
    assert page.index("**2 wait for a person**, in 2 groups.") < page.index("![")
    assert "(parked: safe in the archive until a person acts; left: not touched)" in page
    assert "Nothing waits for a person." in markdown(report(entry("m-1")), "Dead letters")


def test_the_end_of_a_long_next_step_is_shown() -> None:
    """It is there that a step says what it destroys."""
    long = f"choose. (1) keep it{' and wait' * 100}; (2) load again: it empties the table"
    waits = entry("m-1", action="escalate", next_step=long)
    assert "it empties the table" in markdown(report(waits), "Replication tasks")
    assert table(report(waits))[0]["whole next step"].endswith("it empties the table")
