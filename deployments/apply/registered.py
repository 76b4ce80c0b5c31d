"""The deployments of `prefect.yaml`, compared with those on the server.

What a person has set on the server stays: whether a deployment is paused, whether a schedule or a trigger is switched
on, and parameters, which hold the scope of a path. The parameters that were last written from the file are remembered
by their fingerprints in the variable `reprise_applied`, so that a change in the file is told from a change in the UI.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, VariableCreate, VariableUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from deployments.apply.automations import comparable
from deployments.apply.differences import Change, Difference, compare
from deployments.prefect_settings import PROJECT
from recovery.errors import RepriseError

REMEMBERED = "reprise_applied"
NOBODY = UUID(int=0)
"""Stands for a deployment that does not exist yet."""


@dataclass(frozen=True)
class Registered:
    """One deployment of the file.

    Attributes:
        name: as a person types it, "dead-letters/sweep".
        flow: the flow's name.
        described: its part of the file.
        schema: what its flow takes, as Prefect shows it in the form.
    """

    name: str
    flow: str
    described: Mapping[str, Any]
    schema: Mapping[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The file's parameters."""
        return dict(self.described.get("parameters") or {})


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


def changes(client: SyncPrefectClient, deployments: list[Registered], *, overwrite: bool = False) -> list[Change]:
    """Which deployments are missing, or not as the file says.

    Args:
        client: speaks to the server.
        deployments: those of the file.
        overwrite: whether parameters that a person has set count as a difference.
    """
    known = remembered(client)
    found = []
    for deployment in deployments:
        current = there(client, deployment.name)
        if current is None:
            found.append(Change("deployment", deployment.name))
            continue
        differences = [
            *compare(_wanted(deployment), _current(current)),
            *_schema(deployment, current),
            *_triggers(client, deployment, current.id),
        ]
        if overwrite or not _set_by_a_person(deployment, current, known):
            differences += compare({"parameters": deployment.parameters}, {"parameters": current.parameters})
        if differences:
            found.append(Change("deployment", deployment.name, tuple(differences)))
    return found


def notes(client: SyncPrefectClient, deployments: list[Registered], pool: str) -> list[str]:
    """What a person should know and nobody changes: parameters of their own, and deployments of older versions."""
    known = remembered(client)
    found, ours = [], set()
    for deployment in deployments:
        current = there(client, deployment.name)
        if current is None:
            continue
        ours.add(current.id)
        if _set_by_a_person(deployment, current, known):
            found.append(f"deployment {deployment.name}: its parameters were set on the server, and stay")
    for other in client.read_deployments():
        if other.work_pool_name == pool and other.id not in ours:
            name = f"{client.read_flow(other.flow_id).name}/{other.name}"
            found.append(
                f"deployment {name}: not in prefect.yaml, and it goes on running. If it is not your own: "
                f"prefect deployment delete {name}"
            )
    return found


def register() -> None:
    """Let Prefect write all deployments of `prefect.yaml` anew, whatever they are like.

    Raises:
        RepriseError: it failed; the message ends with Prefect's own words.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RepriseError(f"prefect deploy ended with {done.returncode}:\n{done.stdout}")


@dataclass(frozen=True)
class Kept:
    """What a person has set on one deployment, to be set again after Prefect's own registration."""

    parameters: dict[str, Any] | None
    paused: bool
    switched_off: frozenset[str]
    triggers_off: frozenset[str]


def kept(client: SyncPrefectClient, deployments: list[Registered], *, overwrite: bool = False) -> dict[str, Kept]:
    """What must survive the registration, by the deployment's name."""
    known = remembered(client)
    found = {}
    for deployment in deployments:
        current = there(client, deployment.name)
        if current is None:
            continue
        own = not overwrite and _set_by_a_person(deployment, current, known)
        found[deployment.name] = Kept(
            parameters=dict(current.parameters) if own else None,
            paused=current.paused,
            switched_off=frozenset(s.slug for s in current.schedules if s.slug and not s.active),
            triggers_off=frozenset(a.name for a in _owned(client, deployment.flow, current.id) if not a.enabled),
        )
    return found


def restore(client: SyncPrefectClient, deployments: list[Registered], before: Mapping[str, Kept]) -> None:
    """Set again what a person had set, and remember what the file said."""
    for name, keep in before.items():
        current = there(client, name)
        assert current is not None  # it has just been registered
        if keep.parameters is not None:
            client.update_deployment(current.id, DeploymentUpdate(parameters=keep.parameters))
        if keep.paused:
            client.pause_deployment(current.id)
        for schedule in current.schedules:
            if schedule.slug in keep.switched_off and schedule.active:
                client.update_deployment_schedule(current.id, schedule.id, active=False)
        for automation in _owned(client, name.split("/")[0], current.id):
            if automation.name in keep.triggers_off:
                client.pause_automation(automation.id)
    own = {name for name, keep in before.items() if keep.parameters is not None}
    known = remembered(client)
    known |= {each.name: fingerprint(each.parameters) for each in deployments if each.name not in own}
    _remember(client, known)


def remembered(client: SyncPrefectClient) -> dict[str, str]:
    """Fingerprints of the parameters that were last written from the file, by the deployment's name."""
    variable = client.read_variable_by_name(REMEMBERED)
    return dict(variable.value) if variable and isinstance(variable.value, dict) else {}


def fingerprint(parameters: Mapping[str, Any]) -> str:
    """A short name of a set of parameters."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]


def _remember(client: SyncPrefectClient, known: dict[str, str]) -> None:
    if client.read_variable_by_name(REMEMBERED):
        client.update_variable(VariableUpdate(name=REMEMBERED, value=known))
    else:
        client.create_variable(VariableCreate(name=REMEMBERED, value=known))


def _set_by_a_person(deployment: Registered, current: DeploymentResponse, known: Mapping[str, str]) -> bool:
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


def _current(current: DeploymentResponse) -> dict[str, Any]:
    limit, options = current.global_concurrency_limit, current.concurrency_options
    schedules = {}
    for each in current.schedules:
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
    wanted = {}
    for described in deployment.described.get("triggers") or []:
        trigger = DeploymentEventTrigger.model_validate(described)
        trigger.set_deployment_id(owner)
        automation = trigger.as_automation()
        wanted[automation.name] = comparable(automation)
    current = {automation.name: comparable(automation) for automation in _owned(client, deployment.flow, owner)}
    return compare({"triggers": wanted}, {"triggers": current})


def _owned(client: SyncPrefectClient, flow: str, deployment: UUID) -> list[Automation]:
    """The triggers of a deployment. The server does not say who owns an automation, so their names do: the triggers of
    `prefect.yaml` are named after their flow. What a person has made to run the deployment besides is not ours."""
    related = client.read_resource_related_automations(f"prefect.deployment.{deployment}")
    return [each for each in related if each.name.startswith(f"{flow}-")]


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()
