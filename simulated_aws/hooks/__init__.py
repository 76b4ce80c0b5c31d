"""Every private hook into ministack, the emulator under the simulated AWS.

The emulator has no plugin interface, so this module reaches into it, and nothing else does. It adds the behaviour of
AWS that the recovery paths depend on: listing the sources of a dead-letter queue, receipt handles that behave like
AWS's, limits that are refused, `aws.*` events, expiry by TTL on demand. The version is pinned exactly;
`tests/gateways/test_simulated_aws_*.py` would notice one that behaves differently, and `install` names any private
name that is gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from typing import Any

import yaml

from simulated_aws.hooks.alarms import PERIOD, StrictAlarms
from simulated_aws.hooks.functions import OutsideFunctions
from simulated_aws.hooks.invocations import AsyncInvocations
from simulated_aws.hooks.logs import StrictLogs
from simulated_aws.hooks.queues import StrictQueues, depths_of, messages_of
from simulated_aws.hooks.topics import StrictTopics
from simulated_aws.requests import SimulatedRequest, Simulator

REGION = "us-east-1"
DEPTH_PERIOD = PERIOD

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "ministack.app": ("SERVICE_HANDLERS", "app", "_reset_all_state"),
    "ministack.core.responses": ("set_request_account_id", "set_request_region"),
    "ministack.services.sqs": (
        "_HANDLERS",
        "_Err",
        "_act_send_message",
        "_act_receive_message",
        "_collect_msgs",
        "_collect_fifo",
        "_dlq_sweep",
        "_ensure_msg_fields",
        "_expire_retained",
        "_get_q",
        "_queue_by_arn",
        "_queues",
        "_refresh_counts",
        "_validate_batch_entries",
    ),
    "ministack.services.sns": (
        "_error",
        "_fanout",
        "_matches_filter_policy",
        "_p",
        "_parse_batch_entries",
        "_parse_message_attributes",
        "_publish",
        "_publish_batch",
        "publish_internal",
    ),
    "ministack.services.eventbridge": ("_put_events",),
    "ministack.services.cloudwatch_logs": ("_compile_filter_pattern", "_filter_log_events", "error_response_json"),
    "ministack.services.lambda_svc": (
        "_account_region_from_function_config",
        "_execute_function",
        "_functions",
        "_invoke",
        "_request_account_id",
        "_request_region",
        "_sqs_esm_concurrency",
        "invoke_async_with_retry",
    ),
    "ministack.services.cloudwatch": (
        "_calc_stats",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_evaluate_parent_alarms",
        "_metric_bucket",
        "_metrics",
        "_record_history",
        "_stat_value",
        "record_metric",
    ),
    "ministack.services.cloudformation.engine": ("CfnLoader",),
    "ministack.services.dynamodb": ("_lock", "_tables", "_ttl_settings", "_remove_item"),
}
"""The private names that are used, by module."""

_installed: dict[str, StrictAlarms] = {}

_SNS_CODES = {
    "NotFoundException": "NotFound",
    "InvalidParameterException": "InvalidParameter",
    "InvalidParameterValueException": "ParameterValueInvalid",
    "AuthorizationErrorException": "AuthorizationError",
}
"""SNS answers with codes that lack the suffix of the exception's name (aws-sdk model of SNS: `error.code`)."""


def _service(name: str) -> Any:
    return import_module(f"ministack.services.{name}")


def _app() -> Any:
    return import_module("ministack.app")


def missing() -> list[str]:
    """Private names that this version of the emulator no longer has."""
    return [
        f"{module}.{name}"
        for module, names in REQUIRED.items()
        for name in names
        if not hasattr(import_module(module), name)
    ]


def install(simulators: Mapping[str, Simulator]) -> None:
    """Put everything in place; once, before the server starts.

    Args:
        simulators: services that stand beside the emulator, by the name that requests are signed for ("dms").

    Raises:
        RuntimeError: the emulator lacks a name that is used here; the message lists them.
    """
    if gone := missing():
        raise RuntimeError(f"this ministack is not the one that simulated_aws was written for: no {', '.join(gone)}")
    StrictQueues(_service("sqs")).install()
    StrictTopics(_service("sns"), _SNS_CODES).install()
    _install_eventbridge(_service("eventbridge"))
    StrictLogs(_service("cloudwatch_logs")).install()
    OutsideFunctions(_service("lambda_svc")).install()
    others = (_service(name) for name in ("sqs", "sns", "eventbridge"))
    AsyncInvocations(_service("lambda_svc"), *others).install()
    _read_templates_in_c(_service("cloudformation.engine"))
    alarms = StrictAlarms(_service("cloudwatch"), put_service_event)
    alarms.install()
    _installed["alarms"] = alarms
    for service, simulator in simulators.items():
        _app().SERVICE_HANDLERS[service] = _mounted(simulator)


def application() -> Any:
    """The emulator's ASGI application."""
    return _app().app


def reset() -> None:
    """Empty the emulator."""
    _app()._reset_all_state()


def _mounted(simulator: Simulator) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
        response = simulator.handle(SimulatedRequest(method, path, query, headers, body))
        return response.status, dict(response.headers), response.body

    return handle


def messages(queue_name: str) -> list[dict[str, Any]]:
    """Return the messages of a queue without receiving them: for tests and for the demo's own check.

    Raises:
        KeyError: there is no such queue.
    """
    enter()
    return messages_of(_service("sqs"), queue_name)


# -- CloudFormation ------------------------------------------------------------------------------------------------


def _read_templates_in_c(engine: Any) -> None:
    """Let libyaml parse the templates, where it is there: ten times as fast, with the emulator's own constructors."""
    in_c = getattr(yaml, "CSafeLoader", None)
    if in_c is not None:
        constructors = {"yaml_constructors": engine.CfnLoader.yaml_constructors}
        engine.CfnLoader = type("CfnLoader", (in_c,), constructors)


# -- SNS, EventBridge, DynamoDB ------------------------------------------------------------------------------------


def _install_eventbridge(eventbridge: Any) -> None:
    put = eventbridge._put_events

    def put_strictly(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        entries = data.get("Entries", [])
        faults = [_fault_of(entry) for entry in entries]
        if len(entries) > 10 or not any(faults):
            return put(data, allow_aws_source)
        good = [entry for entry, fault in zip(entries, faults, strict=True) if fault is None]
        status, headers, body = put({**data, "Entries": good}, allow_aws_source)
        answer = json.loads(body)
        results = iter(answer["Entries"])
        answer["Entries"] = [fault or next(results) for fault in faults]
        answer["FailedEntryCount"] += len(entries) - len(good)
        return status, {k: v for k, v in headers.items() if k.lower() != "content-length"}, json.dumps(answer).encode()

    eventbridge._put_events = put_strictly


def _fault_of(entry: Mapping[str, Any]) -> dict[str, str] | None:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return {
                "ErrorCode": "InvalidArgument",
                "ErrorMessage": f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            }
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def enter() -> None:
    """Work in the default account and region: for what no client's request has started."""
    responses = import_module("ministack.core.responses")
    responses.set_request_account_id("")
    responses.set_request_region(REGION)


def put_aws_event(entry: Mapping[str, Any]) -> None:
    """Put an event on the default bus as an AWS service does: `Source` may begin with "aws.".

    Args:
        entry: an entry of PutEvents (`Source`, `DetailType`, `Detail` as a JSON string, `Resources`).

    Raises:
        ValueError: EventBridge would refuse the entry.
    """
    enter()
    _, _, body = _service("eventbridge")._put_events({"Entries": [dict(entry)]}, allow_aws_source=True)
    if (refusal := json.loads(body)["Entries"][0]).get("ErrorCode"):
        raise ValueError(f"{refusal['ErrorCode']}: {refusal['ErrorMessage']}")


def put_service_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """`put_aws_event` with its parts."""
    put_aws_event(
        {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": list(resources)}
    )


def record_depths() -> None:
    """Publish the depth of every queue into AWS/SQS, as AWS does once a minute, and evaluate all alarms."""
    enter()
    _installed["alarms"].record_depths(depths_of(_service("sqs")))


def record_metric(namespace: str, name: str, value: float, dimensions: Mapping[str, str], at: datetime) -> None:
    """Give CloudWatch a data point of an AWS service; the emulator's own entry knows no time but now."""
    enter()
    cloudwatch = _service("cloudwatch")
    point = {"Timestamp": at.timestamp(), "Value": float(value), "Unit": "Seconds", "Dimensions": dict(dimensions)}
    cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dict(dimensions)))).append(point)


def publish(topic_arn: str, subject: str, message: str) -> None:
    """Publish to a topic as an AWS service does; a topic that is gone swallows it, as AWS does to a service."""
    enter()
    _service("sns").publish_internal(topic_arn, message, subject)


def expire_items() -> int:
    """Delete every item whose TTL has passed, and say how many. AWS does so within days, never at the second."""
    dynamodb = _service("dynamodb")
    removed = 0
    with dynamodb._lock:
        for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
            attribute = setting.get("AttributeName")
            table = dynamodb._tables.get_scoped(account, region, name)
            if setting.get("TimeToLiveStatus") != "ENABLED" or not attribute or not table:
                continue
            for partition, rows in list(table["items"].items()):
                for sort, item in list(rows.items()):
                    # A number of seconds, no more than five years ago: AWS ignores everything else.
                    expires = item.get(attribute, {}).get("N")
                    if expires is not None and time.time() - 5 * 365 * 86_400 < float(expires) <= time.time():
                        dynamodb._remove_item(table, partition, sort)
                        removed += 1
    return removed
