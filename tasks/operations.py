"""The steps of the operations flows: notify people, and mark runs whose process is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Crashed

from blocks.estate import connect
from recovery.alerts import Alert, Announced, plain_subject
from recovery.aws import calling
from recovery.errors import RepriseError
from recovery.operations import Notice, Stage, TidyRequest, silence
from tasks.policies import ONCE
from tasks.steps import step

_PAGE = 200


def notice_name() -> str:
    """The name of a run that notifies people."""
    notice = Notice.model_validate(runtime.flow_run.parameters["request"])
    return f"notify: {plain_subject(notice.subject)}"[:250]


def _announce(notice: Notice) -> str:
    """Publish the notice to the alert topic, unless the same one was within its window; returns what was done.

    The ledger remembers notices. If it cannot be asked, the notice is published all the same: twice is
    better than never.

    Raises:
        BadInput: nothing says where to work.
        Transient, Refused: the topic did not take it.
    """
    if not (notice.subject and notice.text):
        return "nothing to publish"
    if notice.dry_run:
        return "dry run: nothing was published"
    connection = connect(notice.estate)
    alert = Alert(
        path="operations",
        source=notice.source,
        group=notice.group,
        subject=f"Reprise: {notice.subject}",
        text=notice.text,
    )
    try:
        done = connection.alerts.announce(alert, connection.clock.now(), timedelta(minutes=notice.window_minutes))
    except RepriseError as error:
        if error.operation.startswith("sns:"):
            raise
        get_run_logger().warning("no answer of the ledger about an earlier notice: %s", error)
        with calling("sns:Publish"):
            connection.client("sns", repeat=False).publish(
                TopicArn=connection.alert_topic_arn, Subject=plain_subject(alert.subject), Message=alert.text
            )
        return "published, without asking the ledger"
    return {
        Announced.SENT: "published",
        Announced.ALREADY: "published before, within the window",
        Announced.ELSEWHERE: "another run is publishing it",
    }[done]


announce = step(_announce, "notify people", "notified people")


def _find_silent_runs(request: TidyRequest) -> dict[str, str]:
    """Runs of the work pool that show no sign of life: the reason by the run's id."""
    with get_client(sync_client=True) as client:
        return silent_runs(client, request, datetime.now(UTC))


find_silent_runs = step(_find_silent_runs, "find silent runs", "found silent runs", ONCE)


def _mark_as_crashed(silent: dict[str, str]) -> list[str]:
    """Mark the runs as crashed; returns the ids of those for which Prefect took it."""
    with get_client(sync_client=True) as client:
        return [run for run, reason in silent.items() if crash(client, run, reason)]


mark_as_crashed = step(_mark_as_crashed, "mark as crashed", "marked as crashed", ONCE)


def silent_runs(client: SyncPrefectClient, request: TidyRequest, now: datetime) -> dict[str, str]:
    """Return the reason to give up each run of the work pool that shows no sign of life, by the run's id.

    Args:
        client: speaks to the Prefect server.
        request: which pool, and how long a run may be silent.
        now: the present (aware).
    """
    limit = timedelta(minutes=request.silent_minutes)
    found: dict[str, str] = {}
    for run in _unfinished(client, request.work_pool):
        assert run.state is not None  # asked for by its state
        stage, since = Stage(run.state.type.value), run.state.timestamp
        if now - since < limit:
            continue
        if reason := silence(stage, since, _last_sign(client, run, now - limit, now), now, limit):
            found[str(run.id)] = reason
    return found


def crash(client: SyncPrefectClient, run: str, reason: str) -> bool:
    """Mark one run as crashed; whether Prefect took it (it does not when the run has ended meanwhile)."""
    state: State[Any] = Crashed(message=reason)
    answer = client.set_flow_run_state(UUID(run), state)
    return answer.status.value == "ACCEPT"


def _unfinished(client: SyncPrefectClient, work_pool: str) -> list[FlowRun]:
    states = [StateType(stage.value) for stage in Stage]
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": states}}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [work_pool]}}),
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < _PAGE:
            return found


def _last_sign(client: SyncPrefectClient, run: FlowRun, after: datetime, until: datetime) -> datetime | None:
    """The time of the run's latest event between the two."""
    wanted = {
        "filter": {
            "occurred": {"since": after.isoformat(), "until": until.isoformat()},
            "resource": {"id": [f"prefect.flow-run.{run.id}"]},
            "order": "DESC",
        },
        "limit": 1,
    }
    # The client has no method of its own for events; a dropped or late event only delays the verdict.
    any_client: Any = client
    answer: httpx.Response = any_client.request("POST", "/events/filter", json=wanted)
    events = answer.json()["events"]
    return datetime.fromisoformat(events[0]["occurred"]) if events else None
