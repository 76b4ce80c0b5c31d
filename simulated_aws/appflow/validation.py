"""Requests that fit the service model and that AppFlow refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulated_aws.appflow.protocol import Fault
from simulated_aws.appflow.schedules import is_valid


def check_definition(definition: Mapping[str, Any]) -> None:
    """Refuse a flow definition that AppFlow would refuse.

    Raises:
        Fault: ValidationException, with what is wrong.
    """
    trigger = definition["triggerConfig"]
    if trigger["triggerType"] == "Scheduled":
        scheduled = (trigger.get("triggerProperties") or {}).get("Scheduled")
        if not scheduled:
            raise Fault("ValidationException", "TriggerProps is required for Scheduled Trigger Type.")
        if not is_valid(scheduled["scheduleExpression"]):
            raise Fault("ValidationException", f"Invalid schedule expression {scheduled['scheduleExpression']}")
        starts, ends = scheduled.get("scheduleStartTime"), scheduled.get("scheduleEndTime")
        if starts is not None and ends is not None and ends <= starts:
            raise Fault("ValidationException", "Schedule end time must be after the schedule start time")
    destinations = definition["destinationFlowConfigList"]
    if len(destinations) != 1:
        raise Fault("ValidationException", "A flow has exactly one destination")
    _same_connector("source", definition["sourceFlowConfig"], "sourceConnectorProperties")
    _same_connector("destination", destinations[0], "destinationConnectorProperties")
    if not definition["tasks"]:
        raise Fault("ValidationException", "A flow has at least one task")
    written = next(iter(destinations[0]["destinationConnectorProperties"].values()))
    if written.get("writeOperationType") == "UPSERT" and not written.get("idFieldNames"):
        raise Fault("ValidationException", "idFieldNames is required for UPSERT")


def _same_connector(end: str, config: Mapping[str, Any], properties: str) -> None:
    named = list(config[properties])
    if [name.lower() for name in named] != [str(config["connectorType"]).lower()]:
        raise Fault("ValidationException", f"The {end} connector properties do not match {config['connectorType']}")
