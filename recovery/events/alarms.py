"""CloudWatch alarms, as EventBridge events and as SNS notifications. Pure.

Shapes: the EventBridge event keeps its facts under `detail` (`alarmName`, `state.value`); the SNS message has flat keys
of another spelling (`AlarmName`, `NewStateValue`), and its dimensions are a list instead of an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recovery.errors import BadInput
from recovery.times import from_event

SOURCE = "aws.cloudwatch"
STATE_CHANGE = "CloudWatch Alarm State Change"
_DEPTH = "ApproximateNumberOfMessagesVisible"
_STATES = frozenset({"OK", "ALARM", "INSUFFICIENT_DATA"})


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One change of an alarm's state.

    Attributes:
        id: AWS's id of the event, "" for SNS (its envelope has one).
        name, arn: of the alarm.
        state, before: "OK", "ALARM" or "INSUFFICIENT_DATA"; `before` is "" where the event lacks it.
        time: of the change of state, aware, or None.
        metric: name of the alarm's first metric, "" where it has none (a composite alarm).
        dimensions: of that metric, by name.
        muted: its actions are suppressed; the event is sent all the same.
    """

    id: str
    name: str
    arn: str
    state: str
    before: str = ""
    time: datetime | None = None
    metric: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    muted: bool = False

    @property
    def triggers(self) -> bool:
        """True when the change needs inspection."""
        return self.state == "ALARM"

    @property
    def full_queue(self) -> str:
        """Name of the queue whose visible messages it counts, "" for an alarm of another metric."""
        return self.dimensions.get("QueueName", "") if self.metric == _DEPTH else ""


def read(body: Mapping[str, Any]) -> AlarmEvent | None:
    """Read an alarm from an EventBridge event or an unwrapped SNS message; None when it is of something else.

    Raises:
        BadInput: it is of an alarm but has no name or no known state.
    """
    if body.get("source") == SOURCE and body.get("detail-type") == STATE_CHANGE:
        return _from_eventbridge(body)
    if "AlarmName" in body and "NewStateValue" in body:
        return _from_sns(body)
    return None


def _from_eventbridge(event: Mapping[str, Any]) -> AlarmEvent:
    detail = _object(event.get("detail"), "detail")
    state = _object(detail.get("state"), "detail.state")
    previous = detail.get("previousState")
    resources = event.get("resources")
    return AlarmEvent(
        id=str(event.get("id", "")),
        name=_name(detail.get("alarmName"), "detail.alarmName"),
        arn=str(resources[0]) if isinstance(resources, list) and resources else "",
        state=_state(state.get("value"), "detail.state.value"),
        before=str(previous.get("value", "")) if isinstance(previous, Mapping) else "",
        time=from_event(state.get("timestamp")) or from_event(event.get("time")),
        metric=_metric(detail.get("configuration"))[0],
        dimensions=_metric(detail.get("configuration"))[1],
        muted=bool(state.get("actionsSuppressedBy") or detail.get("muteDetail")),
    )


def _from_sns(message: Mapping[str, Any]) -> AlarmEvent:
    trigger = message.get("Trigger")
    listed = trigger.get("Dimensions") if isinstance(trigger, Mapping) else None
    dimensions = {}
    for dimension in listed if isinstance(listed, list) else []:
        if isinstance(dimension, Mapping) and dimension.get("name"):
            dimensions[str(dimension["name"])] = str(dimension.get("value", ""))
    return AlarmEvent(
        id="",
        name=_name(message.get("AlarmName"), "AlarmName"),
        arn=str(message.get("AlarmArn", "")),
        state=_state(message.get("NewStateValue"), "NewStateValue"),
        before=str(message.get("OldStateValue", "")),
        time=from_event(message.get("StateChangeTime")),
        metric=str(trigger.get("MetricName", "")) if isinstance(trigger, Mapping) else "",
        dimensions=dimensions,
    )


def _metric(configuration: object) -> tuple[str, dict[str, str]]:
    """Name and dimensions of the first metric."""
    metrics = configuration.get("metrics") if isinstance(configuration, Mapping) else None
    metric: object = metrics[0] if isinstance(metrics, list) and metrics else None
    for key in ("metricStat", "metric"):
        metric = metric.get(key) if isinstance(metric, Mapping) else None
    if not isinstance(metric, Mapping):
        return "", {}
    dimensions = metric.get("dimensions")
    found = dimensions.items() if isinstance(dimensions, Mapping) else ()
    return str(metric.get("name", "")), {str(name): str(value) for name, value in found}


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"{name}: expected an object in an alarm's event")
    return value


def _name(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadInput(f"{name}: expected the name of an alarm")
    return value


def _state(value: object, name: str) -> str:
    if not isinstance(value, str) or value not in _STATES:
        raise BadInput(f"{name}: expected one of {', '.join(sorted(_STATES))}")
    return value
