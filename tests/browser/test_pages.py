"""The operator's pages of runs, reports, forms, events and automations, opened in a browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from recovery.events.hints import DEAD_LETTERS, hint
from relay.bursts import OutgoingEvent
from relay.prefect_events import PrefectEvents
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
NAMES = {"digest/by-hand": "digest of 20", "cases/describe": "describe ", "cases/list": "list waiting cases"}

CUT_OFF = """(() => {
    const bad = [];
    if (document.documentElement.scrollWidth > window.innerWidth) bad.push('the page is wider than the window');
    for (const image of document.querySelectorAll('img')) {
        if (!image.src.startsWith('data:image/svg')) continue;
        if (image.getBoundingClientRect().right > image.parentElement.getBoundingClientRect().right + 1)
            bad.push('a picture is wider than its column');
        const drawn = document.createElement('div');
        drawn.innerHTML = new TextDecoder().decode(
            Uint8Array.from(atob(image.src.split(',')[1]), message => message.charCodeAt(0)));
        document.body.append(drawn);
        const box = drawn.querySelector('svg').viewBox.baseVal;
        const bars = [...drawn.querySelectorAll('rect')].slice(1).map(bar => bar.getBBox());
        for (const text of drawn.querySelectorAll('text')) {
            const at = text.getBBox();
            const hit = bars.some(bar => bar.width && bar.x < at.x + at.width && at.x < bar.x + bar.width
                && bar.y + 4 < at.y + at.height && at.y + 4 < bar.y + bar.height);
            if (at.x < 0 || at.x + at.width > box.width || hit) bad.push(text.textContent);
        }
        drawn.remove();
    }
    return bad;
})()"""
"""Texts that do not fit, and the labels of pictures that stick out or are written over."""


def looked_at(ui: Ui, page: Page, artifact: str, *shows: str, pictures: int = 0) -> str:
    """Open an artifact's page of markdown, and see that nothing on it is cut off or raw; returns its text."""
    text = page.open(ui.url(f"artifacts/artifact/{artifact}"), *shows)
    drawn = (
        "[...document.querySelectorAll('img')].filter(i => i.src.startsWith('data:') && i.naturalWidth > 100).length"
    )
    assert wait_for("the pictures", lambda: page.evaluate(drawn) == pictures, seconds=60)
    assert page.evaluate(CUT_OFF) == []
    assert [raw for raw in ("**", "![", "##", "](", "&lt;", "<svg", "`", "undefined") if raw in text] == []
    shown = "[...document.querySelectorAll('h1,h2,h3')].map(e => e.innerText)"
    headings = wait_for("headings", lambda: page.evaluate(shown), seconds=30)
    # Of DMS and AppFlow people know names, and no ids of instances or ARNs.
    assert [title for title in headings if "arn:" in title or re.search(r"\b[0-9A-Z]{26}\b", title)] == []
    return text


def code(page: Page) -> list[str]:
    """Return the commands on the page. The page draws itself anew now and then, and is empty for a moment."""
    shown = "[...document.querySelectorAll('code')].map(e => e.innerText)"
    return list(wait_for("code on the page", lambda: page.evaluate(shown), seconds=30))


@pytest.mark.parametrize("deployment", NAMES)
def test_a_run_that_notifies_ends_well(ui: Ui, page: Page, deployment: str) -> None:
    """Its page has its name, its tags and its end."""
    run = ui.runs[deployment]
    assert run.name.startswith(NAMES[deployment])
    assert "Traceback" not in page.open(run.url, run.name, "Completed", "by-hand", deployment.split("/")[0], "Logs")


def test_the_digest_can_be_read(ui: Ui, page: Page) -> None:
    """The week as a picture, what failed by kind as another, what waits, by its names, and the command that helps."""
    artifact = ui.artifact(ui.runs["digest/by-hand"], "daily-digest")
    text = looked_at(ui, page, artifact, "Against the week before", "Waiting for a person now", pictures=2)
    assert "20 failed, 0 came back, 16 wait for a person." in text
    assert "against the week before (36.0 a day)" in text
    assert "DEPENDENCY_FAILURE of ledger-load, catalog-load and orders-cdc (replication tasks)" in text
    assert "next step: choose. (1) Keep the target: run: aws dms" in text
    assert "2 not diagnosed of back-office-dlq (dead letters)" in text
    commands = code(page)
    assert "aws appflow start-flow --flow-name invoices-to-crm" in commands
    assert [line for line in commands if line.startswith("aws dms start-") and line.endswith(" reload-target")]


def test_what_happened_to_a_message_can_be_read(ui: Ui, page: Page) -> None:
    """Its state, reason, next step, history by time, and the address of its copy."""
    artifact = ui.artifact(ui.runs["cases/describe"], "case")
    text = looked_at(ui, page, artifact, f"History of {ui.message}", "History", "Where more is")
    for shown in ("path: dead letters, source: back-office-dlq, ", "diagnosis: ", "next step: ", "first found in"):
        assert shown in text, shown
    assert any(line.startswith("s3://reprise-archive-") for line in code(page))


def test_what_waits_can_be_read(ui: Ui, page: Page) -> None:
    """By group, with the next step of each path; and one by one, with the next step in sight."""
    run = ui.runs["cases/list"]
    page.resize(1400, 1000)
    text = looked_at(ui, page, ui.artifact(run, "waiting-cases"), "Cases that wait for a person", "billing-cdc")
    assert "16 of them at " in text
    assert "1 AUTH_FAILURE of billing-cdc (replication tasks)" in text
    assert "1 AUTH_FAILURE of invoices-to-crm (appflow runs)" in text
    assert "aws appflow start-flow --flow-name invoices-to-crm" in code(page)
    page.open(ui.url(f"artifacts/artifact/{ui.artifact(run, 'waiting-cases-one-by-one')}"), "next step", ui.message)
    in_sight = """(() => {
        const head = [...document.querySelectorAll('th')].find(e => e.innerText === 'next step');
        let around = head;
        while (around.scrollWidth <= around.clientWidth) around = around.parentElement;
        return head.getBoundingClientRect().left + 60 < around.getBoundingClientRect().right;
    })()"""
    assert page.evaluate(in_sight)


@pytest.mark.parametrize("deployment", PATHS)
def test_a_run_has_its_counts_in_its_name(ui: Ui, page: Page, deployment: str) -> None:
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
    # The picture is part of the report, so nothing outside the server is asked for it, and it is drawn.
    heading = "Done" if deployment.startswith("outbox") else "For a person to do"
    text = looked_at(ui, page, artifact, title, "found:", heading, item, pictures=1)
    assert "why:" in text
    assert "next step:" in text or deployment.startswith("outbox")
    commands = {"replication-tasks": "aws dms start-replication-task", "appflow-runs": "aws appflow start-flow"}
    if command := commands.get(key):
        assert any(line.startswith(command) for line in code(page))


@pytest.mark.parametrize(
    ("deployment", "link", "form", "values"),
    [
        ("dead-letters/by-hand", "plan its return", "dead-letters/plan", (QUEUE,)),
        ("dead-letters/by-hand", "its history", "cases/describe", ()),
        ("replication-tasks/by-hand", "decide again", "replication-tasks/by-hand", ("billing-cdc",)),
        ("appflow-runs/by-hand", "run again", "appflow-runs/by-hand", ("invoices-to-crm",)),
    ],
)
def test_a_next_step_is_one_click_away(
    ui: Ui, page: Page, deployment: str, link: str, form: str, values: tuple[str, ...]
) -> None:
    """The report's link opens the form that does it, filled; nothing has started yet."""
    key, title, _ = PATHS[deployment]
    page.open(ui.url(f"artifacts/artifact/{ui.artifact(ui.runs[deployment], key)}"), title, link)
    links = f"[...document.querySelectorAll('a')].filter(a => a.innerText.startsWith({json.dumps(link)}))"
    [address, *_] = wait_for("the link", lambda: page.evaluate(f"{links}.map(a => a.href)"), seconds=60)
    assert address.startswith(ui.url(f"deployments/deployment/{ui.deployment(form)}/run?parameters="))
    wanted = set(values or [json.loads(parse_qs(urlsplit(address).query)["parameters"][0])["request"]["key"]])
    filled = "[...document.querySelectorAll('input,textarea')].map(field => field.value)"
    for old_ui in (False, True):
        page.open(address.replace("/v2/", "/") if old_ui else address, "Estate")
        wait_for("the values", lambda: wanted <= set(page.evaluate(filled)), seconds=60)


def test_groups_are_a_table(ui: Ui, page: Page) -> None:
    """One line for each group of alike failures, with what to do next."""
    artifact = ui.artifact(ui.runs["dead-letters/by-hand"], "dead-letters-groups")
    page.open(ui.url(f"artifacts/artifact/{artifact}"), "next step", "AUTH_FAILURE", QUEUE, "renew the credentials")


@pytest.mark.parametrize(
    ("deployment", "shows", "values"),
    [
        ("dead-letters/by-hand", ("Dead-letter queues", "Dry run", "Most attempts"), ("60", "10", "21600")),
        ("dead-letters-replay/replay", ("Kinds of failure", "Dry run", "Groups"), ("1800",)),
        ("outbox-records/by-hand", ("Topic ARN", "Mode", "Attribute names"), ("30", "2", "3600", "outbox_line")),
        ("replication-tasks/by-hand", ("Replications", "May be reloaded", "Dry run"), ("60", "3", "3600")),
        ("appflow-runs/by-hand", ("Flows", "Policy", "The cause is fixed"), ("60", "4", "3600")),
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
    events = PrefectEvents(ui.server.api_url, ui.server.auth)
    try:
        events.post([OutgoingEvent(hint(DEAD_LETTERS, "orders-dlq", "1", moment), triggers=False)])
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
