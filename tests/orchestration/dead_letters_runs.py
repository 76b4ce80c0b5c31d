"""Runs of the dead-letter flows as Prefect makes them, and what Prefect keeps of them."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import Artifact, FlowRun, State, TaskRun

from flows.dead_letters import recover_dead_letters, replay_archived_messages
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.errors import Incomplete
from recovery.report import RecoveryReport
from tests.dead_letters_world import POLICY, DeadLettersWorld
from tests.waiting import wait_for


def recover(world: DeadLettersWorld, *queues: str, policy: DeadLetterPolicy = POLICY, **fields: Any) -> RecoveryReport:
    """A run that ends well; its report."""
    report = recover_dead_letters(world.request(*queues, policy=policy, **fields))
    assert isinstance(report, RecoveryReport)
    return report


def run(world: DeadLettersWorld, *queues: str, policy: DeadLetterPolicy = POLICY, **fields: Any) -> State[Any]:
    """A run that may end in any way; its state."""
    state: State[Any] = recover_dead_letters(world.request(*queues, policy=policy, **fields), return_state=True)
    return state


def incomplete(state: State[Any]) -> RecoveryReport:
    """The report that a failed run carries: it was published before the run failed."""
    assert state.is_failed()
    error = state.result(raise_on_failure=False)
    assert isinstance(error, Incomplete)
    assert isinstance(error.report, RecoveryReport)
    return error.report


def refusal(state: State[Any]) -> str:
    """The one line of a run that could not begin."""
    assert state.is_failed()
    assert not isinstance(state.result(raise_on_failure=False), Incomplete)
    assert state.message is not None
    assert "\n" not in state.message
    return state.message


def replay(**fields: Any) -> RecoveryReport:
    """A replay that ends well; its report."""
    report = replay_archived_messages(ReplayRequest(**{"dry_run": False, **fields}))
    assert isinstance(report, RecoveryReport)
    return report


def flow_run(state: State[Any]) -> FlowRun:
    """The run that a state is of, as the server keeps it."""
    assert state.state_details.flow_run_id is not None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def task_runs(state: State[Any]) -> list[TaskRun]:
    """The task runs of a run, in their order; the server writes them down a moment after they ended."""
    assert state.state_details.flow_run_id is not None
    only = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    found: list[TaskRun] = []

    def all_ended() -> bool:
        found.clear()
        with get_client(sync_client=True) as client:
            while page := client.read_task_runs(flow_run_filter=only, limit=200, offset=len(found)):
                found.extend(page)
        ended = all(task_run.state is not None and task_run.state.is_final() for task_run in found)
        return ended and any(task_run.name.startswith("published the report") for task_run in found)

    wait_for("the run's task runs", all_ended, seconds=30)
    return sorted(found, key=lambda task_run: task_run.start_time or task_run.expected_start_time)  # type: ignore[arg-type,return-value]


def states(task_run: TaskRun) -> list[str]:
    """Names of the states that a task run went through."""

    async def read() -> list[str]:
        async with get_client() as client:
            response = await client._client.get("/task_run_states/", params={"task_run_id": str(task_run.id)})
            return [state["name"] for state in sorted(response.json(), key=lambda state: state["timestamp"])]

    return asyncio.run(read())


def artifacts(state: State[Any]) -> list[Artifact]:
    """Return the artifacts of a run."""
    assert state.state_details.flow_run_id is not None
    only = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))

    async def read() -> list[Artifact]:
        async with get_client() as client:
            return await client.read_artifacts(artifact_filter=only)

    return asyncio.run(read())
