"""CloudWatch alarms and the metrics of SQS as AWS has them.

The emulator evaluates an alarm by every metric of that name, whatever its dimensions, over one merged window, and sends
EventBridge nothing. Here an alarm reads its own dimensions and each of its periods, treats missing data by its own
setting, and a change of state is an event on the default bus.

Sources: the CloudWatch user guide on alarm evaluation (M out of N, missing data) and on alarm events in EventBridge.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

PERIOD = 60.0
"""Seconds between two data points of a queue's depth."""

_COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
Alarm = dict[str, Any]


class StrictAlarms:
    """Takes the place of the emulator's evaluation.

    Args:
        cloudwatch: the module `ministack.services.cloudwatch`.
        put_event: puts an event of an AWS service on the default bus (source, detail type, detail, resources).
    """

    def __init__(self, cloudwatch: Any, put_event: Callable[[str, str, dict[str, Any], list[str]], None]) -> None:
        self._cloudwatch = cloudwatch
        self._put_event = put_event
        self._by_default = cloudwatch._evaluate_alarm
        self._act = cloudwatch._dispatch_alarm_actions

    def install(self) -> None:
        self._cloudwatch._evaluate_alarm = self.evaluate
        self._cloudwatch._dispatch_alarm_actions = self.changed

    def evaluate(self, alarm: Alarm) -> None:
        """Bring an alarm's state up to date. Alarms on anomaly bands and expressions stay the emulator's."""
        if alarm.get("ComparisonOperator") not in _COMPARISONS or not alarm.get("MetricName"):
            self._by_default(alarm)
            return
        values = self._last_periods(alarm)
        state, reason = evaluate(alarm, values)
        if state is None or state == alarm["StateValue"]:
            return
        before, alarm["StateValue"] = alarm["StateValue"], state
        alarm["StateReason"] = reason
        alarm["StateUpdatedTimestamp"] = int(time.time())
        self._cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
        self._cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
        self._cloudwatch._evaluate_parent_alarms(alarm)

    def _last_periods(self, alarm: Alarm) -> list[float | None]:
        """The alarm's statistic in each period it looks at, oldest first; None where there is no data.

        The period that has just begun counts only once it has data.
        """
        cloudwatch = self._cloudwatch
        dimensions = {entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions", [])}
        key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
        points = cloudwatch._metrics.get(key) or []
        period, number = int(alarm.get("Period", 60)), int(alarm.get("EvaluationPeriods", 1))
        current = int(time.time()) // period
        by_period: dict[int, list[Any]] = {}
        for point in points:
            if (begun := int(point["Timestamp"]) // period) > current - number - 1:
                by_period.setdefault(begun, []).append(point)
        last = current if current in by_period else current - 1
        name = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
        values: list[float | None] = []
        for begun in range(last - number + 1, last + 1):
            found = by_period.get(begun)
            values.append(cloudwatch._stat_value(cloudwatch._calc_stats(found), name, found) if found else None)
        return values

    def changed(self, alarm: Alarm, before: str, state: str, reason: str) -> None:
        """Carry out the alarm's actions, and send EventBridge its event."""
        self._act(alarm, before, state, reason)
        arn = alarm.get("AlarmArn", "")
        self._put_event("aws.cloudwatch", "CloudWatch Alarm State Change", event_detail(alarm, before), [arn])

    def record_depths(self, queues: Mapping[str, Mapping[str, int]]) -> None:
        """Publish a data point of each metric of each queue, and evaluate all alarms."""
        for queue, metrics in queues.items():
            for name, value in metrics.items():
                unit = "Seconds" if name == "ApproximateAgeOfOldestMessage" else "Count"
                self._cloudwatch.record_metric("AWS/SQS", name, value, unit, {"QueueName": queue})
        self._cloudwatch._evaluate_all_alarms()


def evaluate(alarm: Mapping[str, Any], values: list[float | None]) -> tuple[str | None, str]:
    """The state that an alarm should have, and why; None where its rule for missing data keeps the present one."""
    compare, words = _COMPARISONS[alarm["ComparisonOperator"]]
    threshold = float(alarm.get("Threshold", 0))
    needed = int(alarm.get("DatapointsToAlarm") or len(values))
    missing = alarm.get("TreatMissingData") or "missing"
    known = [value for value in values if value is not None]
    if not known and missing in ("missing", "ignore"):
        return (
            ("INSUFFICIENT_DATA", "Insufficient Data: no datapoints were received")
            if missing == "missing"
            else (None, "")
        )
    bad = sum(compare(value, threshold) for value in known)
    if missing == "breaching":
        bad += len(values) - len(known)
    if missing in ("missing", "ignore"):
        # Missing points are passed over: fewer data points must all be bad.
        needed = min(needed, len(known))
    state = "ALARM" if bad >= needed else "OK"
    reason = (
        f"Threshold Crossed: {bad} out of the last {len(values)} datapoints {known} {words} the threshold ({threshold})"
    )
    return state, reason


def event_detail(alarm: Mapping[str, Any], before: str) -> dict[str, Any]:
    """The detail of the event that CloudWatch sends for a change of state."""

    def stamp(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"

    detail: dict[str, Any] = {
        "alarmName": alarm["AlarmName"],
        "state": {
            "value": alarm["StateValue"],
            "reason": alarm.get("StateReason", ""),
            "timestamp": stamp(float(alarm.get("StateUpdatedTimestamp", 0))),
        },
        "previousState": {"value": before},
        "configuration": {"description": alarm.get("AlarmDescription") or ""},
    }
    if data := alarm.get("StateReasonData"):
        detail["state"]["reasonData"] = data if isinstance(data, str) else json.dumps(data)
    if "AlarmRule" in alarm:
        detail["configuration"]["alarmRule"] = alarm["AlarmRule"]
    elif alarm.get("MetricName"):
        metric = {
            "namespace": alarm.get("Namespace"),
            "name": alarm["MetricName"],
            "dimensions": {entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions", [])},
        }
        stat = {"metric": metric, "period": alarm.get("Period", 60), "stat": alarm.get("Statistic", "Average")}
        detail["configuration"]["metrics"] = [{"id": "m1", "metricStat": stat, "returnData": True}]
    return detail
