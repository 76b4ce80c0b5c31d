"""Dry runs of the paths that an estate uses, in the scope of their own sweeps, for `reprise smoke`.

A path is in use when its sweep is scheduled and names something. Its dry run reads what a sweep reads, under the same
role, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from recovery.errors import BadInput, RepriseError, Transient
from recovery.paths import Path

RUN_SECONDS = 300

SWEEPS = {
    Path.OUTBOX_RECORDS: ("outbox-records/retry", "table", "no row was published"),
    Path.REPLICATION_TASKS: ("replication-tasks/sweep", "tasks", "no replication was started"),
    Path.APPFLOW_RUNS: ("appflow-runs/sweep", "flows", "no flow was run"),
}
"""By path: its sweep, the field with the sweep's scope, and what a dry run cannot try."""


class RunFailed(RepriseError):
    """The recovery run did not end well: the estate, or the role, does not do its part."""


Run = Callable[[Path, dict[str, Any]], None]
"""Runs a path as the request says; raises when the run did not end well."""


def by_a_worker(path: Path, request: dict[str, Any]) -> None:
    """Let a worker run the path's deployment `by-hand`.

    Raises:
        BadInput: there is no such deployment.
        Transient: no worker took the run, or it did not end in time.
        RunFailed: the run did not end well.
    """
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    name = f"{path.replace('_', '-')}/by-hand"
    try:
        started: Any = run_deployment(name, parameters={"request": request}, timeout=RUN_SECONDS)
    except ObjectNotFound as error:
        raise BadInput(f"there is no deployment {name}: reprise apply") from error
    state = started.state
    if state is None or not state.is_final():
        raise Transient(
            f"the run {started.name} is still {state.name if state else 'unknown'} after {RUN_SECONDS} s: is a worker "
            "connected to the pool reprise (make worker)?"
        )
    if not state.is_completed():
        raise RunFailed(f"the run {started.name} ended as {state.name}: {state.message}")


def in_this_process(path: Path, request: dict[str, Any]) -> None:
    """Run the path's flow in this process.

    Raises:
        RunFailed: the run did not end well.
    """
    state = getattr(import_module(f"flows.{path}"), f"recover_{path}")(request, return_state=True)
    if not state.is_completed():
        raise RunFailed(f"the run ended as {state.name}: {state.message}")


def dry_run(run: Run, path: Path, named: dict[str, str]) -> tuple[str, bool]:
    """Run a path dry in the scope of its sweep.

    Args:
        run: carries a request out.
        path: one of `SWEEPS`.
        named: fields of the request that the caller chose, as the estate.

    Returns:
        What came of it, and False when the run did not end well.

    Raises:
        BadInput, Transient: the run could not be tried.
    """
    sweep, scope, untried = SWEEPS[path]
    request, unused = _request(sweep, scope)
    if unused:
        return f"not tried, {unused}", True
    try:
        run(path, request | {"dry_run": True} | named)
    except RunFailed as error:
        return f"{error} (pause {sweep} if this estate does not use it)", False
    return f"yes, dry: {untried}", True


def _request(sweep: str, scope: str) -> tuple[dict[str, Any], str]:
    """The request of a sweep without its start, and the reason if the path is not in use."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(sweep)
        except ObjectNotFound:
            return {}, f"there is no deployment {sweep}: reprise apply"
    request = dict(found.parameters.get("request") or {})
    request.pop("started_by", None)
    if found.paused or not any(each.active for each in found.schedules):
        return {}, f"{sweep} is paused"
    return request, "" if request.get(scope) else f"{sweep} names no {scope}"
