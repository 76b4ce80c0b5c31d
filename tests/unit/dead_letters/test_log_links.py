"""Links from archived messages to the log of what failed, by the message's origin."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recovery.dead_letters.log_links import log_link
from recovery.failures import Origin
from tests.unit.dead_letters.samples import message

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:billing"
RECORD = {"requestContext": {"requestId": "r-1", "functionArn": f"{FUNCTION}:live", "condition": "RetriesExhausted"}}
TARGET = {"TARGET_ARN": {"DataType": "String", "StringValue": FUNCTION}}
REQUEST = {"RequestID": {"DataType": "String", "StringValue": "r-1"}}


@pytest.mark.parametrize(
    ("origin", "given", "group", "expected"),
    [
        (Origin.SQS_REDRIVE, {}, "/teams/orders", ("eu-west-1", "$252Fteams$252Forders", "m-1")),
        (Origin.LAMBDA_ASYNC, {"attributes": REQUEST}, "/teams/orders", ("$252Fteams$252Forders", "r-1")),
        (Origin.LAMBDA_DESTINATION, {"body": RECORD}, "", ("$252Faws$252Flambda$252Fbilling/", "r-1")),
        (Origin.LAMBDA_ESM, {"body": RECORD}, "", ("$252Faws$252Flambda$252Fbilling/", "r-1")),
        (
            Origin.LAMBDA_DESTINATION,
            {"body": {"source": "lambda", "detail": RECORD}},
            "",
            ("$252Faws$252Flambda$252Fbilling/", "r-1"),
        ),
        (Origin.EVENTBRIDGE, {"body": {"id": "e-1"}, "attributes": TARGET}, "", ("$252Fbilling/", "e-1")),
    ],
)
def test_a_message_whose_origin_has_a_log_leads_to_it(
    origin: Origin, given: dict[str, Any], group: str, expected: tuple[str, ...]
) -> None:
    """By the words that this log has: the message's id, the request's, or the event's."""
    link = log_link(message(origin=origin, **given | {"body": json.dumps(given.get("body", {}))}), group, "eu-west-1")
    assert all(part in link for part in expected), link


@pytest.mark.parametrize(
    ("origin", "given"),
    [
        (Origin.SQS_REDRIVE, {}),
        (Origin.LAMBDA_ASYNC, {"attributes": REQUEST}),
        (Origin.LAMBDA_DESTINATION, {"body": '{"requestContext": {"functionArn": "orders"}}'}),
        (
            Origin.EVENTBRIDGE,
            {"attributes": {"TARGET_ARN": {"DataType": "String", "StringValue": "arn:aws:sqs:x:1:q"}}},
        ),
    ],
)
def test_without_a_known_log_there_is_no_link(origin: Origin, given: dict[str, Any]) -> None:
    """A wrong link is worse than none."""
    assert log_link(message(origin=origin, **given), "", "eu-west-1") == ""
