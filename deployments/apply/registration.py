"""Writing deployments: whole where one is missing, and else the fields that differ and no others.

Each request by itself leaves a server on which a person's settings stand, so that a process that is killed between two
of them has only left the rest undone: `--check` names it, and the next apply does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError

from deployments.apply.automations import bring
from deployments.apply.differences import Change
from deployments.apply.registered import (
    Registered,
    marks,
    owned,
    remember,
    remembered,
    set_by_a_person,
    snapshot,
    there,
    triggers,
)
from recovery.errors import Refused


def make(
    client: SyncPrefectClient, deployments: list[Registered], changes: list[Change], *, overwrite: bool = False
) -> None:
    """Carry out the changes that `registered.changes` found.

    Args:
        client: speaks to the server.
        deployments: those of the file.
        changes: differences; what is not named there is not written.
        overwrite: take the file's parameters even where a person has set others.

    Raises:
        Refused: the server does not accept a deployment.
    """
    wanted = {change.name: change for change in changes if change.kind == "deployment"}
    for deployment in deployments:
        if deployment.name not in wanted:
            continue
        fields = {difference.field.split(".")[0] for difference in wanted[deployment.name].differences}
        try:
            _bring(client, deployment, fields, overwrite=overwrite)
        except PrefectHTTPStatusError as error:
            raise Refused(
                f"the Prefect server does not accept the deployment {deployment.name}: {error.response.text[:500]}"
            ) from error
    known = remembered(client)
    now = {**known, **marks(deployments, snapshot(client, deployments))}
    if now != known:
        remember(client, now)


def _bring(client: SyncPrefectClient, deployment: Registered, fields: set[str], *, overwrite: bool) -> None:
    current = there(client, deployment.name)
    if current is None:
        _create(client, deployment)
        current = there(client, deployment.name)
        assert current is not None  # it has just been created
        fields = {"triggers"}
    update = {
        name: value
        for field in fields
        for name, value in _written(deployment).get(field, {}).items()
        # Asked again at the last moment: a person may have set them since they were compared.
        if field != "parameters" or overwrite or not set_by_a_person(deployment, current, remembered(client))
    }
    if update:
        client.update_deployment(current.id, DeploymentUpdate(**update))
    if "schedules" in fields:
        _schedules(client, deployment, current)
    if "triggers" in fields:
        for automation in triggers(deployment, current.id):
            bring(
                client, automation, [e for e in owned(client, deployment.flow, current.id) if e.name == automation.name]
            )


def _create(client: SyncPrefectClient, deployment: Registered) -> None:
    written = {name: value for fields in _written(deployment).values() for name, value in fields.items()}
    client.create_deployment(
        client.create_flow_from_name(deployment.flow),
        deployment.name.removeprefix(f"{deployment.flow}/"),
        schedules=[
            DeploymentScheduleCreate(schedule=_schedule(each), active=True, slug=each["slug"])
            for each in deployment.described.get("schedules") or []
        ],
        pull_steps=[],
        enforce_parameter_schema=True,
        **written,
    )


def _written(deployment: Registered) -> dict[str, dict[str, Any]]:
    """Arguments of Prefect's client, by the field that `registered` compares."""
    described = deployment.described
    limit = described.get("concurrency_limit") or {}
    strategy = limit.get("collision_strategy")
    return {
        "description": {"description": described["description"]},
        "tags": {"tags": described["tags"]},
        "entrypoint": {"entrypoint": described["entrypoint"]},
        "work pool": {"work_pool_name": described["work_pool"]["name"]},
        "job variables": {"job_variables": described["work_pool"].get("job_variables") or {}},
        "concurrency limit": {
            "concurrency_limit": limit.get("limit"),
            "concurrency_options": ConcurrencyOptions(collision_strategy=strategy) if strategy else None,
        },
        "form of its parameters": {"parameter_openapi_schema": deployment.schema},
        "parameters": {"parameters": deployment.parameters},
    }


def _schedules(client: SyncPrefectClient, deployment: Registered, current: DeploymentResponse) -> None:
    """Bring interval and anchor up to date, and leave the switch alone."""
    ids = {each.slug: each.id for each in current.schedules}
    for each in deployment.described.get("schedules") or []:
        slug = each["slug"]
        if slug in ids:
            client.update_deployment_schedule(current.id, ids[slug], schedule=_schedule(each))
        else:
            made = DeploymentScheduleCreate(schedule=_schedule(each), active=True, slug=slug)
            client.create_deployment_schedules(current.id, [made])


def _schedule(described: Mapping[str, Any]) -> IntervalSchedule:
    return IntervalSchedule(
        interval=timedelta(seconds=described["interval"]),
        anchor_date=datetime.fromisoformat(described["anchor_date"]),
        timezone=described.get("timezone"),
    )
