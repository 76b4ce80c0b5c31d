"""Alarms of CloudWatch are read in both of their spellings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from recovery.errors import BadInput
from recovery.events.alarms import read

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "0b9d8a34-53a1-4c8e-9d0c-6c1f4c1c1a55",
    "detail-type": "CloudWatch Alarm State Change",
    "source": "aws.cloudwatch",
    "time": "2026-03-01T10:00:41Z",
    "resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-dead"],
    "detail": {
        "alarmName": "orders-dead",
        "configuration": {
            "metrics": [
                {
                    "id": "m",
                    "metricStat": {
                        "metric": {"dimensions": {"QueueName": "orders-dlq"}, "name": "Depth", "namespace": "AWS/SQS"},
                        "period": 60,
                        "stat": "Maximum",
                    },
                }
            ]
        },
        "previousState": {"timestamp": "2026-03-01T09:00:40.987+0000", "value": "OK"},
        "state": {"reason": "Threshold Crossed", "timestamp": "2026-03-01T10:00:40.989+0000", "value": "ALARM"},
    },
}
MESSAGE: dict[str, Any] = {
    "AlarmName": "orders-dead",
    "NewStateValue": "ALARM",
    "OldStateValue": "INSUFFICIENT_DATA",
    "StateChangeTime": "2026-03-01T10:00:40.989+0000",
    "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-dead",
    "Trigger": {"MetricName": "Depth", "Dimensions": [{"value": "orders-dlq", "name": "QueueName"}]},
}


@pytest.mark.parametrize(("body", "before"), [(EVENT, "OK"), (MESSAGE, "INSUFFICIENT_DATA")])
def test_both_shapes_say_the_same(body: dict[str, Any], before: str) -> None:
    """Name, state, time and dimensions, though keys and the form of the dimensions differ."""
    alarm = read(body)
    assert alarm is not None
    assert (alarm.name, alarm.state, alarm.before, alarm.triggers, alarm.muted) == (
        "orders-dead",
        "ALARM",
        before,
        True,
        False,
    )
    assert alarm.arn == "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-dead"
    assert alarm.time == datetime(2026, 3, 1, 10, 0, 40, 989_000, UTC)
    assert alarm.dimensions == {"QueueName": "orders-dlq"}


def test_a_suppressed_alarm_is_muted() -> None:
    """CloudWatch sends the event although the actions are suppressed."""
    state = {**EVENT["detail"]["state"], "actionsSuppressedBy": "WaitPeriod"}
    alarm = read({**EVENT, "detail": {**EVENT["detail"], "state": state}})
    assert alarm is not None
    assert alarm.muted


@pytest.mark.parametrize("state", ["ODD", None, [], {}])
def test_an_unknown_state_is_reported(state: object) -> None:
    """Whatever stands there, the message names the field."""
    with pytest.raises(BadInput, match="NewStateValue"):
        read({**MESSAGE, "NewStateValue": state})


def test_other_events_are_none_of_ours() -> None:
    """An event of another source is not an alarm."""
    assert read({"source": "aws.dms", "detail-type": "DMS Replication Task State Change"}) is None
