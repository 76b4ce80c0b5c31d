"""Addresses of the forms, looked up once a run."""

from __future__ import annotations

from prefect import get_run_logger, runtime
from prefect.settings import get_current_settings
from pydantic import BaseModel

from recovery.links import Links
from tasks.brief_client import brief_client

_PAGE = 200


def find_links(request: object) -> Links:
    """Return the addresses of the UI's forms; without a UI's address, or outside a run, there are commands only.

    A run that cannot learn them does its work all the same: the missing links are one warning in its log.
    """
    own = (
        request.model_dump(mode="json", exclude_defaults=True, warnings=False) if isinstance(request, BaseModel) else {}
    )
    run_id = runtime.flow_run.id
    ui = (get_current_settings().ui_url or "").rstrip("/")
    if not run_id or not ui:
        return Links(own=own)
    try:
        return Links(ui, _deployments(), str(run_id), own)
    except Exception as error:  # noqa: BLE001 - whatever it is, links only help
        get_run_logger().warning("this run's report has no links: %s", error)
        return Links(own=own)


def _deployments() -> dict[str, str]:
    with brief_client() as client:
        flows = {flow.id: flow.name for flow in client.read_flows(limit=_PAGE)}
        return {f"{flows.get(each.flow_id)}/{each.name}": str(each.id) for each in client.read_deployments(limit=_PAGE)}
