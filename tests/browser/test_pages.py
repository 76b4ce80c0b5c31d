"""What an operator sees: the pages of runs, reports, forms, events and automations, opened in a browser."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from deployments.relay.bursts import Telling
from deployments.relay.prefect_events import PrefectEvents
from recovery.events.hints import DEAD_LETTERS, hint
from tests.browser.chromium import Page
from tests.browser.conftest import QUEUE, Ui
from tests.waiting import wait_for

# A server with its pages and a browser take half a minute to start; several on a busy machine.
pytestmark = pytest.mark.timeout(1_200)

PATHS = {
    "dead-letters/by-hand": ("dead-letters", "Dead letters", QUEUE),
    "outbox-records/by-hand": ("outbox-records", "Outbox records", "demo-outbox"),
    "replication-tasks/by-hand": ("replication-tasks", "Replication tasks", "billing-cdc"),
    "appflow-runs/by-hand": ("appflow-runs", "AppFlow runs", "invoices-to-crm"),
}


@pytest.mark.parametrize("deployment", PATHS)
def test_a_run_tells_in_its_name_what_it_did(ui: Ui, page: Page, deployment: str) -> None:
    """The page of a run shows what was done, how it ended, and the path and the deployment as tags."""
    run = ui.runs[deployment]
    flow, kind = deployment.split("/")
    assert ":" in run.name, run
    assert "nothing to do" not in run.name, run
    assert "Traceback" not in page.open(run.url, run.name, "Completed", flow, kind, "Logs")


@pytest.mark.parametrize("deployment", PATHS)
def test_a_report_can_be_read(ui: Ui, page: Page, deployment: str) -> None:
    """The report has its heading, its picture, and for each group why, which, and what to do next."""
    key, title, item = PATHS[deployment]
    artifact = ui.artifact(ui.runs[deployment], key)
    text = page.open(ui.url(f"artifacts/artifact/{artifact}"), title, "found:", "Groups of alike failures", item)
    assert "why:" in text
    assert "next step:" in text or deployment.startswith("outbox")
    # The picture is part of the report, so nothing outside the server is asked for it, and it is drawn.
    drawn = (
        "[...document.querySelectorAll('img')].some(i => i.src.startsWith('data:image/svg') && i.naturalWidth > 100)"
    )
    assert wait_for("the picture", lambda: page.evaluate(drawn), seconds=60)
    assert "undefined" not in text
    assert "<svg" not in text


def test_groups_are_a_table(ui: Ui, page: Page) -> None:
    """One line for each group of alike failures, with what to do next."""
    artifact = ui.artifact(ui.runs["dead-letters/by-hand"], "dead-letters-groups")
    page.open(ui.url(f"artifacts/artifact/{artifact}"), "next step", "AUTH_FAILURE", QUEUE, "renew the credentials")


@pytest.mark.parametrize(
    ("deployment", "shows", "values"),
    [
        ("dead-letters/by-hand", ("Dead-letter queues", "Dry run", "Budget of attempts"), ("60", "10", "21600")),
        ("dead-letters/replay", ("Kinds of failure", "Dry run", "Groups"), ("1800",)),
        ("outbox-records/by-hand", ("Topic ARN", "Mode", "Attribute names"), ("30", "2", "3600", "outbox_line")),
        ("replication-tasks/by-hand", ("Replications", "May be reloaded", "Dry run"), ("60", "3", "3600")),
        ("appflow-runs/by-hand", ("Flows", "Policy", "The cause is mended"), ("60", "4", "3600")),
    ],
)
def test_a_form_shows_what_would_be_done(
    ui: Ui, page: Page, deployment: str, shows: tuple[str, ...], values: tuple[str, ...]
) -> None:
    """Each field by its title, with the policy's own values; and it stays a dry run until somebody says otherwise."""
    page.open(ui.url(f"deployments/deployment/{ui.deployment(deployment)}/run"), *shows)
    fields = page.evaluate("[...document.querySelectorAll('input,textarea')].map(field => field.value)")
    assert [value for value in values if value not in fields] == []
    dry_run = """(() => {
        const titles = [...document.querySelectorAll('label')];
        const title = titles.find(e => e.innerText.toLowerCase().startsWith('dry run'));
        for (let around = title; around; around = around.parentElement) {
            const found = around.querySelectorAll('[role=switch]');
            if (found.length) return found[0].getAttribute('aria-checked');
        }
    })()"""
    assert page.evaluate(dry_run) == "true"


def test_what_happened_in_aws_stands_in_the_event_feed(ui: Ui, page: Page) -> None:
    """An event as the relay posts it, with the queue's name."""
    # The feed ends with the last whole minute, and shows the newest events first: only this kind of event is asked for,
    # since those of the runs would push it off the page when a minute ends meanwhile.
    moment = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(milliseconds=1)
    events = PrefectEvents(ui.server.api_url)
    try:
        events.post([Telling(hint(DEAD_LETTERS, "orders-dlq", "1", moment), rings=False)])
    finally:
        events.close()
    asked = {"filter": {"event": {"name": [DEAD_LETTERS]}}}
    # The server writes events down every few seconds, and the page shows what is written when it is opened.
    wait_for("the event to be kept", lambda: ui.ask("POST", "events/filter", asked)["events"], seconds=60)
    search = urlencode({"events": json.dumps([DEAD_LETTERS])})
    shown = page.open(ui.url(f"events?{search}"), "reprise.queue.dead-letters", "orders-dlq")
    assert "prefect.flow-run" not in shown


def test_automations_say_what_they_wait_for(ui: Ui, page: Page) -> None:
    """One for each path, each with a sentence, and all switched on."""
    page.open(
        ui.url("automations"),
        "dead-letters-on-event",
        "outbox-records-on-insert",
        "A row was written into an outbox, or one fell due",
        "replication-tasks-on-failure",
        "appflow-runs-on-failure",
        "A run of an AppFlow flow failed",
    )
    assert set(page.evaluate("[...document.querySelectorAll('[role=switch]')].map(e => e.ariaChecked)")) == {"true"}
