"""The deployments of `prefect.yaml`, compared with those on the server.

A person's settings stay, and are not touched for a moment: pauses, switches of schedules and triggers, and parameters,
which hold the scope of a path. The parameters that were last written from the file are remembered by their fingerprints
in the variable `reprise_applied`, so that a change in the file differs from a change in the UI.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from deployments.apply.automations import comparable
from deployments.apply.differences import Change, Difference, compare
from deployments.prefect_settings import PROJECT

REMEMBERED = "reprise_applied"
_PAGE = 200
NOBODY = UUID(int=0)
"""Stands for a deployment that does not exist yet."""


Snapshot = Mapping[str, DeploymentResponse]
"""Deployments of the server, by the names that a person types."""


@dataclass(frozen=True)
class Registered:
    """One deployment of the file.

    Attributes:
        name: as a person types it, "dead-letters/sweep".
        flow: the flow's name.
        described: its part of the file.
        schema: the parameters of its flow, as Prefect shows them in the form.
    """

    name: str
    flow: str
    described: Mapping[str, Any]
    schema: Mapping[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The file's parameters."""
        return dict(self.described.get("parameters") or {})


@cache
def of_the_file() -> list[Registered]:
    """All deployments of `prefect.yaml`, with the flows that they run."""
    document = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    found = []
    for each in document["deployments"]:
        flow: Flow[Any, Any] = load_flow_from_entrypoint(each["entrypoint"], use_placeholder_flow=False)
        schema = parameter_schema(flow).model_dump_for_openapi()
        found.append(Registered(f"{flow.name}/{each['name']}", flow.name, each, schema))
    return found


def there(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    """The deployment on the server, or None."""
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def snapshot(client: SyncPrefectClient, deployments: list[Registered]) -> Snapshot:
    """The deployments of the file that the server has now."""
    found = {each.name: there(client, each.name) for each in deployments}
    return {name: current for name, current in found.items() if current is not None}


def changes(
    client: SyncPrefectClient, deployments: list[Registered], now: Snapshot, *, overwrite: bool = False
) -> list[Change]:
    """Return the deployments that are missing, or differ from the file.

    Args:
        client: speaks to the server.
        deployments: those of the file.
        now: those of the server.
        overwrite: True when parameters that a person has set count as a difference.
    """
    known = remembered(client)
    found = []
    for deployment in deployments:
        current = now.get(deployment.name)
        if current is None:
            found.append(Change("deployment", deployment.name))
            continue
        differences = [
            *compare(_wanted(deployment), _current(deployment, current)),
            *_schema(deployment, current),
            *_triggers(client, deployment, current.id),
        ]
        if overwrite or not set_by_a_person(deployment, current, known):
            differences += compare({"parameters": deployment.parameters}, {"parameters": current.parameters})
        if differences:
            found.append(Change("deployment", deployment.name, tuple(differences)))
    forgotten = {name for name, mark in marks(deployments, now).items() if known.get(name) != mark}
    if forgotten:
        found.append(Change("variable", REMEMBERED, (Difference("knows not", sorted(forgotten), None),)))
    return found


def notes(client: SyncPrefectClient, deployments: list[Registered], now: Snapshot, pool: str) -> list[str]:
    """Return facts for a person, which nobody changes: parameters of their own, and deployments of older versions."""
    known = remembered(client)
    found, ours = [], set()
    for deployment in deployments:
        current = now.get(deployment.name)
        if current is None:
            continue
        ours.add(current.id)
        if set_by_a_person(deployment, current, known):
            found.append(f"deployment {deployment.name}: its parameters were set on the server, and stay")
        slugs = {each["slug"] for each in deployment.described.get("schedules") or []}
        found += [
            f"deployment {deployment.name}: its schedule {each.slug or each.id} is not in prefect.yaml, and stays"
            for each in current.schedules
            if each.slug not in slugs
        ]
    for other in _all(client):
        if other.work_pool_name == pool and other.id not in ours:
            name = f"{client.read_flow(other.flow_id).name}/{other.name}"
            found.append(
                f"deployment {name}: not in prefect.yaml, and it goes on running. If it is not your own: "
                f"prefect deployment delete {name}"
            )
    return found


def surplus(client: SyncPrefectClient, deployments: list[Registered], now: Snapshot) -> list[str]:
    """Triggers that start a deployment of ours a second time: the same name twice, or a name of an older version's."""
    found = []
    for deployment in deployments:
        current = now.get(deployment.name)
        if current is None:
            continue
        names = {str(each["name"]) for each in deployment.described.get("triggers") or []}
        for automation in owned(client, deployment.flow, current.id):
            if automation.name in names:
                names.remove(automation.name)
            else:
                found.append(
                    f"trigger {automation.name} of {deployment.name}: one too many, so runs start twice. Remove it: "
                    f"prefect automation delete --id {automation.id}"
                )
    return found


def marks(deployments: list[Registered], now: Snapshot) -> dict[str, str]:
    """Fingerprints of the file's parameters, by the name of each deployment that has just these."""
    found = {}
    for deployment in deployments:
        current = now.get(deployment.name)
        if current is not None and current.parameters == deployment.parameters:
            found[deployment.name] = fingerprint(deployment.parameters)
    return found


def remembered(client: SyncPrefectClient) -> dict[str, str]:
    """Fingerprints of the parameters that were last written from the file, by the deployment's name."""
    variable = client.read_variable_by_name(REMEMBERED)
    return dict(variable.value) if variable and isinstance(variable.value, dict) else {}


def fingerprint(parameters: Mapping[str, Any]) -> str:
    """A short name of a set of parameters."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]


def remember(client: SyncPrefectClient, known: Mapping[str, str]) -> None:
    """Write down what `remembered` reads."""
    if client.read_variable_by_name(REMEMBERED):
        client.update_variable(VariableUpdate(name=REMEMBERED, value=dict(known)))
    else:
        client.create_variable(VariableCreate(name=REMEMBERED, value=dict(known)))


def set_by_a_person(deployment: Registered, current: DeploymentResponse, known: Mapping[str, str]) -> bool:
    """True for parameters that nobody but a person can have written."""
    if current.parameters == deployment.parameters:
        return False
    # Without a memory nobody knows who set them. A scope that is lost stops a path without a word, so they stay.
    return known.get(deployment.name) != fingerprint(current.parameters)


def _wanted(deployment: Registered) -> dict[str, Any]:
    described = deployment.described
    limit = described.get("concurrency_limit") or {}
    return {
        "description": described["description"],
        "tags": sorted(described["tags"]),
        "entrypoint": described["entrypoint"],
        "work pool": described["work_pool"]["name"],
        "job variables": described["work_pool"].get("job_variables") or {},
        "concurrency limit": {"limit": limit.get("limit"), "strategy": limit.get("collision_strategy")},
        "schedules": {
            each["slug"]: {"seconds": each["interval"], "anchor": _instant(each["anchor_date"])}
            for each in described.get("schedules") or []
        },
    }


def _current(deployment: Registered, current: DeploymentResponse) -> dict[str, Any]:
    limit, options = current.global_concurrency_limit, current.concurrency_options
    ours = {each["slug"] for each in deployment.described.get("schedules") or []}
    schedules = {}
    for each in current.schedules:
        if each.slug not in ours:
            continue  # a person's own
        interval = getattr(each.schedule, "interval", None)
        anchor = getattr(each.schedule, "anchor_date", None)
        schedules[each.slug or str(each.id)] = {
            "seconds": interval.total_seconds() if interval else str(each.schedule),
            "anchor": _instant(str(anchor)) if anchor else None,
        }
    return {
        "description": current.description,
        "tags": sorted(current.tags),
        "entrypoint": current.entrypoint,
        "work pool": current.work_pool_name,
        "job variables": current.job_variables,
        "concurrency limit": {
            "limit": limit.limit if limit else None,
            "strategy": options.collision_strategy.value if options else None,
        },
        "schedules": schedules,
    }


def _schema(deployment: Registered, current: DeploymentResponse) -> Iterator[Difference]:
    if json.loads(json.dumps(deployment.schema)) != current.parameter_openapi_schema:
        yield Difference("form of its parameters", "of another version", "as the flow is now")


def _triggers(client: SyncPrefectClient, deployment: Registered, owner: UUID) -> tuple[Difference, ...]:
    wanted = {each.name: comparable(each) for each in triggers(deployment, owner)}
    # Of several with one name the first is compared, and the others are named as surplus.
    current = {each.name: comparable(each) for each in reversed(owned(client, deployment.flow, owner))}
    return compare({"triggers": wanted}, {"triggers": {name: current[name] for name in wanted if name in current}})


def triggers(deployment: Registered, owner: UUID) -> list[AutomationCore]:
    """The file's triggers, as the automations that they are on the server.

    Args:
        deployment: of the file.
        owner: its id on the server.
    """
    made = []
    for described in deployment.described.get("triggers") or []:
        trigger = DeploymentEventTrigger.model_validate(described)
        trigger.set_deployment_id(owner)
        made.append(trigger.as_automation())
    return made


def owned(client: SyncPrefectClient, flow: str, deployment: UUID) -> list[Automation]:
    """The triggers of a deployment. The server does not say who owns an automation, so their names do: the triggers of
    `prefect.yaml` are named after their flow. A person's own automation that runs it besides is not ours."""
    related = client.read_resource_related_automations(f"prefect.deployment.{deployment}")
    return [each for each in related if each.name.startswith(f"{flow}-")]


def _all(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    """Every deployment of the server, page by page."""
    for start in count(0, _PAGE):
        page = client.read_deployments(limit=_PAGE, offset=start)
        yield from page
        if len(page) < _PAGE:
            return


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()
