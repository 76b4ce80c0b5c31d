"""The work pool: made once, its job template kept up to date; a pause and a limit that a person has set stay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound

from deployments.apply import POOL
from deployments.apply.differences import Change, Difference, compare
from recovery.errors import BadInput

NAME = POOL
TEMPLATES = Path(__file__).parents[1] / "work_pools"
LIMIT = 8
"""Runs at the same time, when the pool is made. After an outage each deployment starts one; the rest wait."""


@dataclass(frozen=True)
class Pool:
    """The pool as it should be.

    Attributes:
        kind: Prefect's name of its type, "process" or "ecs".
        template: its job template, or None for one that is a person's own.
    """

    kind: str
    template: dict[str, Any] | None


def wanted(client: SyncPrefectClient, file: str = "") -> Pool:
    """Return the pool as it should be.

    Args:
        client: speaks to the server.
        file: of its job template, named after its type ("ecs.json"). Without one a pool of another type than
            "process" keeps the template that it has: cluster, networks and roles are in it.

    Raises:
        BadInput: the file cannot be read, or the pool exists and is of another type.
    """
    there = current(client)
    if not file:
        if there and there.type != "process":
            return Pool(there.type, None)
        file = str(TEMPLATES / "process.json")
    path = Path(file)
    try:
        template = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is no job template: {error}") from error
    if there and there.type != path.stem:
        raise BadInput(
            f"the work pool {NAME} is of type {there.type!r}, and {path.name} is for {path.stem!r}. Prefect cannot "
            f"change a pool's type: prefect work-pool delete {NAME}, and apply again"
        )
    return Pool(path.stem, template)


def current(client: SyncPrefectClient) -> WorkPool | None:
    """The pool on the server, or None."""
    try:
        return client.read_work_pool(NAME)
    except ObjectNotFound:
        return None


def changes(client: SyncPrefectClient, pool: Pool) -> list[Change]:
    """Return the differences."""
    there = current(client)
    if there is None:
        return [Change("work pool", NAME)]
    if pool.template is None:
        return []
    found: tuple[Difference, ...] = compare({"job template": pool.template}, {"job template": there.base_job_template})
    return [Change("work pool", NAME, found)] if found else []


def make(client: SyncPrefectClient, pool: Pool) -> None:
    """Create it, or bring its template up to date."""
    if current(client) is None:
        description = "Runs of Reprise: each in a process of its own, beside the worker or in a container."
        made = WorkPoolCreate(
            name=NAME,
            type=pool.kind,
            description=description,
            base_job_template=pool.template or {},
            concurrency_limit=LIMIT,
        )
        client.create_work_pool(made)
    elif pool.template is not None:
        client.update_work_pool(NAME, WorkPoolUpdate(base_job_template=pool.template))
