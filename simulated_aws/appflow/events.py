"""The EventBridge events of the simulated AppFlow, in the shapes that AppFlow sends.

Keys are in kebab case, numbers are strings, times end in `Z[UTC]`, and `resources` hold a hash instead of an ARN. Of
the status texts only "Execution Successful" is known from real events; "Execution Failed" is this simulator's word, and
readers must take anything that is not a success for a failure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from simulated_aws.appflow.state import SimulatedFlow, SimulatedRun

START = "AppFlow Start Flow Run Report"
END = "AppFlow End Flow Run Report"
EVENT_REPORT = "AppFlow Event Flow Report"
EVENT_DEACTIVATED = "AppFlow Event Flow Deactivated"
SCHEDULED_DEACTIVATED = "AppFlow Scheduled Flow Deactivated"


def stamp(moment: datetime) -> str:
    """A time as AppFlow's events write it."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z[UTC]"


def start_report(flow: SimulatedFlow, run: SimulatedRun, account: str) -> dict[str, Any]:
    """Detail of the report at the start of a run."""
    return {
        **_common(flow, account),
        "execution-id": run.id,
        "start-time": stamp(run.started),
        "status": "Execution Started",
    }


def end_report(flow: SimulatedFlow, run: SimulatedRun, account: str) -> dict[str, Any]:
    """Detail of the report at the end of a run, or of the five-minute report of an event-triggered flow."""
    outcome = run.outcome
    failed = bool(outcome.error)
    detail = {
        **_common(flow, account),
        "num-of-records-processed": str(outcome.records),
        "execution-id": run.id,
        "num-of-records-filtered": "0",
        "start-time": stamp(run.started),
        "num-of-documents-processed": "0",
        "end-time": stamp(run.updated or run.ends),
        "num-of-record-failures": str(outcome.failed_records),
        "data-processed": str(outcome.records * 100),
        "status": "Execution Failed" if failed else "Execution Successful",
    }
    if run.status == "Canceled":
        detail["status"] = "Execution Canceled"
    elif failed:
        detail["error"] = outcome.error
    return detail


def deactivated(flow: SimulatedFlow, when: datetime, reason: str, account: str) -> dict[str, Any]:
    """Detail of a deactivation by AppFlow."""
    return {**_common(flow, account), "deactivation-time": stamp(when), "deactivation-reason": reason}


def _common(flow: SimulatedFlow, account: str) -> dict[str, Any]:
    source = flow.definition["sourceFlowConfig"]
    destination = flow.definition["destinationFlowConfigList"][0]
    profile = source.get("connectorProfileName")
    connector = str(source["connectorType"])
    return {
        "flow-name": flow.name,
        "created-by": f"arn:aws:sts::{account}:assumed-role/simulated/appflow",
        "flow-arn": flow.arn,
        "source": f"{connector.upper()}/{profile}" if profile else connector,
        "destination": str(destination["connectorType"]),
        "source-object": _object(source["sourceConnectorProperties"]),
        "destination-object": _object(destination["destinationConnectorProperties"]),
        "trigger-type": flow.trigger.upper(),
    }


def _object(properties: dict[str, Any]) -> str:
    inner: dict[str, Any] = next(iter(properties.values()), {})
    if "bucketName" in inner:
        prefix = inner.get("bucketPrefix", "")
        return f"s3://{inner['bucketName']}" + (f"/{prefix}" if prefix else "")
    for name in ("object", "entityName", "objectPath", "domainName", "documentType"):
        if name in inner:
            return str(inner[name])
    return ""
