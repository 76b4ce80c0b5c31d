"""`reprise apply` on a Prefect server and a simulated AWS of its own: once, again, and after a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, GlobalConcurrencyLimitUpdate, WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed, Pending, Running

from deployments.apply import __main__ as command
from deployments.apply import automations, channels, outward, pool, registered, saved_estate
from deployments.apply.__main__ import Outcome, apply
from deployments.apply.differences import Change, Difference, compare
from deployments.prefect_server import PrefectServer, prefect_server
from deployments.processes import free_port
from recovery.errors import BadInput, RepriseError
from recovery.events.outward import GROUP_OPENED, GROUP_RECOVERED, Outward
from simulated_aws.server import SimulatedAws
from tests.prefect_home import prepare
from tests.waiting import wait_for

SWEEP = "dead-letters/sweep"


class Webhook(HTTPServer):
    """A webhook of a person's own; `calls` are its requests."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/alerts"


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """A webhook on this machine."""
    with Webhook() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield receiver
        receiver.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A whole server in a home of its own."""
    with prefect_server(prepare(tmp_path_factory.mktemp("prefect")), ui=False) as running:
        yield running


@pytest.fixture(scope="module")
def environment(server: PrefectServer, webhook: Webhook) -> Iterator[dict[str, str]]:
    """An operator's variables, which are this process's own for the time of these tests."""
    with SimulatedAws.start() as aws:
        aws.create_estate()
        topic, sqs = aws.environment["REPRISE_ALERT_TOPIC_ARN"], aws.client("sqs")
        url = sqs.create_queue(QueueName="people")["QueueUrl"]
        people = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=people)
        made = {**aws.environ({}), "REPRISE_NOTIFY_WEBHOOK_URL": webhook.url}
        with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: server.api_url}):
            patch.setenv("PREFECT_API_URL", server.api_url)
            for name, value in made.items():
                patch.setenv(name, value)
            yield {**made, "PREFECT_API_URL": server.api_url}
            # Loading a block sends an event, and what sends it keeps this server's address for the rest of the process:
            # flows of later tests would talk to a server that is gone.
            EventsWorker.drain_all(timeout=30)


@pytest.fixture(scope="module")
def applied(environment: Mapping[str, str]) -> Outcome:
    """Return the outcome of the first apply on an empty server."""
    return apply(environment, check=False)


@pytest.fixture
def client(environment: Mapping[str, str]) -> Iterator[SyncPrefectClient]:
    """Speaks to the server."""
    with get_client(sync_client=True) as made:
        yield made


def test_an_empty_server_is_brought_up_to_date_and_stays_so(applied: Outcome, environment: Mapping[str, str]) -> None:
    """The first time everything is made; after that nothing differs, and nothing is changed."""
    assert {line.split(" ")[0] for line in applied.changes} == {
        "work",
        "estate",
        "notification",
        "deployment",
        "automation",
    }
    assert all(line.endswith(": missing") for line in applied.changes)
    assert "deployment dead-letters/sweep: missing" in applied.changes
    assert apply(environment, check=True) == Outcome()
    with get_client(sync_client=True) as client:
        # Prefect's own registration makes triggers anew each time: the same ids are the same triggers.
        before = {each.id for each in client.read_automations()}
        assert apply(environment, check=False) == Outcome()
        assert {each.id for each in client.read_automations()} == before


@pytest.mark.usefixtures("applied")
def test_what_a_person_set_stays_and_what_drifted_is_fixed(
    client: SyncPrefectClient, environment: Mapping[str, str]
) -> None:
    """The scope, pauses and switches of a person survive; the rest is shown field by field and set right."""
    sweep = client.read_deployment_by_name(SWEEP)
    scope = {"request": {"queues": ["orders-dlq"], "dry_run": False}}
    client.update_deployment(
        sweep.id, DeploymentUpdate(parameters=scope, description="of last year", tags=["old"], paused=True)
    )
    client.update_deployment_schedule(sweep.id, sweep.schedules[0].id, active=False)
    for name in ("replication-tasks-on-failure", f"{automations.PREFIX}a run failed"):
        client.pause_automation(client.read_automations_by_name(name)[0].id)
    client.update_work_pool(pool.NAME, WorkPoolUpdate(is_paused=True, concurrency_limit=3, base_job_template={}))

    found = apply(environment, check=True)
    assert "deployment dead-letters/sweep" in found.changes
    assert any(line.startswith("    description: 'of last year' -> 'Every five") for line in found.changes)
    assert "    tags: ['old'] -> ['dead-letters', 'sweep']" in found.changes
    assert any(line.startswith("    job template.variables: ") for line in found.changes)
    assert not [line for line in found.changes if line.strip().startswith(("automation", "parameters", "triggers"))]
    assert found.notes == ["deployment dead-letters/sweep: its parameters were set on the server, and stay"]

    apply(environment, check=False)
    after = client.read_deployment_by_name(SWEEP)
    assert (after.description or "").startswith("Every five minutes")
    assert (after.parameters, after.paused, after.schedules[0].active) == (scope, True, False)
    for name in ("replication-tasks-on-failure", f"{automations.PREFIX}a run failed"):
        (automation,) = client.read_automations_by_name(name)
        assert automation.enabled is False
        client.resume_automation(automation.id)
    there = client.read_work_pool(pool.NAME)
    assert (there.is_paused, there.concurrency_limit) == (True, 3)
    assert there.base_job_template
    assert apply(environment, check=True).changes == []


@pytest.mark.usefixtures("applied")
def test_a_slot_that_nobody_holds_is_reported_with_its_cure(
    client: SyncPrefectClient, environment: Mapping[str, str]
) -> None:
    """A server that forgot its leases cancels every further run without a word; the check says so."""
    limit = client.read_deployment_by_name("appflow-runs/sweep").global_concurrency_limit
    assert limit is not None
    client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=1))
    try:
        (problem,) = apply(environment, check=True).problems
        assert "deployment appflow-runs/sweep" in problem
        assert f"prefect global-concurrency-limit update {limit.name} --active-slots 0" in problem
    finally:
        client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))


def run_of(client: SyncPrefectClient, deployment: str) -> FlowRun:
    """A run that is under way, as far as the server knows."""
    made = client.create_flow_run_from_deployment(client.read_deployment_by_name(deployment).id)
    client.set_flow_run_state(made.id, Pending(), force=True)
    client.set_flow_run_state(made.id, Running(), force=True)
    return made


def notices(client: SyncPrefectClient, group: str) -> list[dict[str, Any]]:
    """The requests of the runs of operations/notify for a group."""
    notify = client.read_deployment_by_name("operations/notify").id
    requests = [run.parameters["request"] for run in client.read_flow_runs() if run.deployment_id == notify]
    return [request for request in requests if request.get("group") == group]


@pytest.mark.usefixtures("applied")
def test_a_failed_run_notifies_people_once(client: SyncPrefectClient, webhook: Webhook) -> None:
    """A failure starts operations/notify and reaches the webhook, with the run's name only; a second is quiet."""
    first = run_of(client, "outbox-records/retry")
    client.set_flow_run_state(first.id, Failed(message="body of a message"), force=True)
    found = wait_for("a notice", lambda: notices(client, "run-failed"), seconds=120)
    wait_for("the webhook's call", lambda: webhook.calls, seconds=120)
    second = run_of(client, "outbox-records/retry")
    client.set_flow_run_state(second.id, Failed(message="again"), force=True)
    other = run_of(client, "replication-tasks/sweep")
    client.set_flow_run_state(other.id, Failed(message="another deployment"), force=True)
    wait_for("both notices", lambda: len(notices(client, "run-failed")) == 2, seconds=120)

    assert found[0]["source"] == "outbox-records/retry"
    assert found[0]["subject"] == "outbox-records/retry Failed"
    assert found[0]["dry_run"] is False
    assert first.name in found[0]["text"]
    assert str(first.id) in found[0]["text"]
    assert webhook.calls[0]["subject"] == "Reprise: outbox-records/retry Failed"
    assert first.name in webhook.calls[0]["text"]
    assert "body of a message" not in json.dumps([found, webhook.calls])


def send(client: Any, name: str, resource: dict[str, str], related: list[dict[str, str]], **payload: Any) -> None:
    """An event, as Prefect's own parts send them."""
    from datetime import UTC, datetime

    event = {
        "id": str(uuid4()),
        "event": name,
        "occurred": datetime.now(UTC).isoformat(),
        "resource": resource,
        "related": related,
        "payload": payload,
    }
    client.request("POST", "/events", json=[event])


@pytest.mark.usefixtures("applied")
def test_an_automation_that_could_not_act_is_reported(client: SyncPrefectClient) -> None:
    """A trigger's failure is reported with its reason; one of our own alerts' failure is not, or it would never end."""
    for name, automation in (("Reprise: a run failed", uuid4()), ("dead-letters-on-event", uuid4())):
        resource = {"prefect.resource.id": f"prefect.automation.{automation}", "prefect.resource.name": name}
        send(client, "prefect.automation.action.failed", resource, [], reason="no such deployment")
    (notice,) = wait_for("a notice", lambda: notices(client, "action-failed"), seconds=120)
    assert notice["source"] == "automation dead-letters-on-event"
    assert "no such deployment" in notice["text"]


@pytest.mark.usefixtures("applied")
def test_silence_is_noticed(client: SyncPrefectClient) -> None:
    """A run that sends no heartbeat any more is marked as crashed, and a sweep that ends no run any more is reported;
    with the shipped automations, whose windows are shortened to the least that Prefect takes."""
    shortened = {"end runs without a process", "no sweep has finished for 30 minutes"}
    for name in shortened:
        (shipped,) = client.read_automations_by_name(f"{automations.PREFIX}{name}")
        assert isinstance(shipped.trigger, EventTrigger)
        trigger = shipped.trigger.model_copy(update={"within": type(shipped.trigger.within)(seconds=10)})
        fields = {**shipped.model_dump(exclude={"id", "trigger", "owner_resource"}), "trigger": trigger}
        client.update_automation(shipped.id, AutomationCore.model_validate(fields))

    dead = run_of(client, "appflow-runs/on-failure")
    flow = client.read_flow(dead.flow_id)
    related = [
        {"prefect.resource.id": f"prefect.flow.{flow.id}", "prefect.resource.role": "flow"},
    ]
    related[0]["prefect.resource.name"] = flow.name
    heartbeat = {"prefect.resource.id": f"prefect.flow-run.{dead.id}", "prefect.resource.name": dead.name}
    send(client, "prefect.flow-run.heartbeat", heartbeat, related)
    swept = run_of(client, "appflow-runs/sweep")
    client.set_flow_run_state(swept.id, Failed(message="finished, all the same"), force=True)

    def crashed() -> str | None:
        state = client.read_flow_run(dead.id).state
        assert state is not None
        return state.message if state.name == "Crashed" else None

    assert "its process is gone" in str(wait_for("the run's end", crashed, seconds=120))
    (notice,) = wait_for("a notice", lambda: notices(client, "no-sweep"), seconds=120)
    assert notice["source"] == "appflow-runs/sweep"


@pytest.mark.usefixtures("applied")
def test_an_estate_that_does_not_answer_is_a_problem_and_no_traceback(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Things missing in AWS are named, each in one line; the server is not blamed."""
    monkeypatch.setenv("REPRISE_LEDGER_TABLE", "no-such-table")
    assert command.main(estate=True) == 1
    output = capsys.readouterr()
    assert "ledger_table: 'reprise-ledger' -> 'no-such-table'" in output.out
    (problem,) = output.err.splitlines()
    assert problem.startswith("problem: estate: ledger table no-such-table: ")
    monkeypatch.setenv("REPRISE_LEDGER_TABLE", environment["REPRISE_LEDGER_TABLE"])
    assert command.main(estate=True) == 0


@pytest.mark.usefixtures("applied")
def test_a_shell_of_another_estate_repoints_no_worker(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attempts and send intents are in the ledger: another one is taken only by a person who says so."""
    monkeypatch.setenv("REPRISE_LEDGER_TABLE", "test-ledger")
    monkeypatch.setenv("REPRISE_METRICS_NAMESPACE", "Elsewhere")
    for check in (True, False):
        assert command.main(check=check) == 1
        (problem,) = capsys.readouterr().err.splitlines()
        assert "its ledger table is 'reprise-ledger', and this shell names 'test-ledger'" in problem
        assert "reprise apply --estate" in problem
    saved = saved_estate.saved()
    assert saved is not None
    assert (saved.ledger_table, saved.metrics_namespace) == (environment["REPRISE_LEDGER_TABLE"], "Reprise")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", "PREFECT_API_URL is not set"),
        ("http://127.0.0.1:{port}/api", "does not answer"),
        ("{server}/nowhere", "is no Prefect server"),
    ],
)
def test_a_server_that_is_away_is_one_line(
    address: str,
    expected: str,
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody is shown a traceback, and the exit status is another one than that of a difference."""
    named = address.format(port=free_port(), server=environment["PREFECT_API_URL"])
    monkeypatch.setenv("PREFECT_API_URL", named)
    assert command.main(check=True) == 2
    output = capsys.readouterr()
    assert expected in output.err
    assert len(output.err.splitlines()) == 1
    assert output.out == ""


@pytest.mark.parametrize(
    "variable",
    [
        "REPRISE_NOTIFY_SLACK_URL",
        "REPRISE_NOTIFY_PAGERDUTY_KEY",
        "REPRISE_NOTIFY_WEBHOOK_URL",
        "REPRISE_NOTIFY_TEAMS_URL",
        "REPRISE_NOTIFY_SENDGRID",
    ],
)
def test_a_channel_that_cannot_be_used_is_refused_without_its_value(
    variable: str, environment: Mapping[str, str]
) -> None:
    """The message names the variable, and what it held is a secret."""
    with pytest.raises(BadInput, match=variable) as refused:
        apply({**environment, variable: "s3cret"}, check=True)
    assert "s3cret" not in str(refused.value)


@pytest.mark.usefixtures("applied")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise loads all it has
def test_slack_and_pagerduty_hear_of_every_alarm(environment: Mapping[str, str], client: SyncPrefectClient) -> None:
    """Each automation that notifies uses every channel that is saved; a variable that is gone takes none away."""
    more = {
        **environment,
        "REPRISE_NOTIFY_SLACK_URL": "https://hooks.slack.com/services/T00000000/B00000000/" + "c" * 24,
        "REPRISE_NOTIFY_PAGERDUTY_KEY": "a" * 32,
    }
    apply(more, check=False)
    assert apply(environment, check=True).changes == []
    for name in ("a run failed", "an automation could not act", "no sweep has finished for 30 minutes"):
        (automation,) = client.read_automations_by_name(f"{automations.PREFIX}{name}")
        kinds = [action.type for action in automation.actions]
        assert kinds == ["run-deployment", "send-notification", "send-notification", "send-notification"]
    assert "hooks.slack.com" not in json.dumps([each.model_dump(mode="json") for each in client.read_automations()])


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("file", "expected"),
    [("ecs.json", "is of type 'process'"), ("nowhere.json", "is no job template")],
)
def test_a_job_template_that_does_not_fit_is_refused(file: str, expected: str, environment: Mapping[str, str]) -> None:
    """Prefect cannot change a pool's type, and would not say so."""
    with pytest.raises(RepriseError, match=expected):
        apply(environment, check=True, template=str(pool.TEMPLATES / file))


def test_differences_are_listed_field_by_field() -> None:
    """Nested fields and the elements of lists are named by their place; long values are cut."""
    found = compare(
        {"a": 1, "b": {"c": [{"d": 1}], "e": "x" * 500}}, {"a": 1, "b": {"c": [{"d": 2}, {"d": 3}], "e": None}}
    )
    assert [(each.field, each.there, each.wanted) for each in found[:2]] == [
        ("b.c.0.d", 2, 1),
        ("b.c.1", {"d": 3}, None),
    ]
    assert str(found[2]).endswith("... (502 characters)")
    assert Change("automation", "x", (Difference("f", None, 1),)).lines() == ["automation x", "    f: (none) -> 1"]


def test_no_alarm_is_about_the_notifiers() -> None:
    """An alarm about a failed operations/notify would start operations/notify, for ever."""
    made: Callable[..., Any] = automations.wanted
    for automation in made({"dead-letters"}, uuid4(), []):
        text = automation.model_dump_json()
        assert "operations" not in text
        assert automation.name.startswith(automations.PREFIX)
        assert automation.trigger.expect
        assert automation.trigger.match.root or automation.trigger.match_related


def test_prefect_yaml_is_what_apply_takes_it_for() -> None:
    """Triggers are known as ours by their flow's name, and what is tagged as a sweep is missed after half an hour."""
    for deployment in registered.of_the_file():
        for trigger in deployment.described.get("triggers") or []:
            assert trigger["name"].startswith(f"{deployment.flow}-")
        if {"sweep", "retry"} & set(deployment.described["tags"]):
            (schedule,) = deployment.described["schedules"]
            assert schedule["interval"] * 2 <= automations.SWEEP_SECONDS


# -- channels ------------------------------------------------------------------------------------------------------


def _group(event: str, queue: str) -> dict[str, Any]:
    payload: dict[str, str | int] = {
        "subject": f"3 messages of {queue} wait",
        "text": "HTTP 401",
        "act": "http://ui/form",
    }
    # The home of its queues, as alerts of dead letters name it: a group may be of several queues.
    home = f"arn:aws:sqs:eu-west-1:{1 if queue.startswith('orders') else 2}"
    resource = ("group", "dead_letters", home, "g")
    return Outward(event, resource, "1", datetime.now(UTC), payload, (queue, "stock-dlq")).as_event()


@pytest.mark.usefixtures("applied")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise loads all it has
def test_a_group_reaches_the_channels_that_its_route_names(
    environment: Mapping[str, str], client: SyncPrefectClient, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message with its link; PagerDuty opens one incident for the group, and resolves it when the group is over."""
    monkeypatch.setenv("REPRISE_NOTIFY_PAGERDUTY_URL", webhook.url)
    routed = {
        **environment,
        "REPRISE_NOTIFY_PAGERDUTY_KEY": "a" * 32,
        "REPRISE_NOTIFY_ROUTES": "webhook=dead_letters/orders-*; pagerduty=*/*",
    }
    apply(routed, check=False)
    assert apply(routed, check=True).changes == []
    webhook.calls.clear()
    sent = [_group(GROUP_OPENED, "orders-dlq"), _group(GROUP_OPENED, "billing-dlq")]

    def first() -> bool:
        # An automation that was made a moment ago is not listening yet: the event is posted until it is heard.
        client.request("POST", "/events", json=sent[:1])
        return len(webhook.calls) >= 2

    wait_for("the automations to listen", first, seconds=120)
    client.request("POST", "/events", json=sent)
    wait_for("PagerDuty, of another queue", lambda: len(webhook.calls) >= 3, seconds=120)
    client.request("POST", "/events", json=[_group(GROUP_RECOVERED, "orders-dlq")])
    wait_for("the end of it", lambda: len(webhook.calls) >= 5, seconds=120)
    pager = [(call["event_action"], call["dedup_key"].strip()) for call in webhook.calls if "routing_key" in call]
    assert pager == [
        ("trigger", "reprise.group.dead_letters.arn:aws:sqs:eu-west-1:1.g"),
        ("trigger", "reprise.group.dead_letters.arn:aws:sqs:eu-west-1:2.g"),
        ("resolve", "reprise.group.dead_letters.arn:aws:sqs:eu-west-1:1.g"),
    ]
    mine = [call for call in webhook.calls if "routing_key" not in call]
    assert [call["subject"] for call in mine] == ["Reprise: 3 messages of orders-dlq wait"] * 2
    assert "HTTP 401" in mine[0]["text"]
    assert "Act: http://ui/form" in mine[0]["text"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("fax=dead_letters/*", "expected one of email, opsgenie, pagerduty, slack, teams, webhook"),
        ("slack", "and = behind it"),
        ("slack=dead_letters", "expected a path"),
        ("slack=queues/orders", "expected a path"),
        ("slack=dead_letters/*-dlq", "may end in"),
    ],
)
def test_a_route_that_cannot_be_read_is_one_line(given: str, expected: str) -> None:
    """It names the variable and what was expected."""
    with pytest.raises(BadInput, match="REPRISE_NOTIFY_ROUTES") as refused:
        outward.routes(given, channels.ROUTED)
    assert expected in str(refused.value)
