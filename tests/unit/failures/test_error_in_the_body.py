"""Consumers that write the error into the body: a policy names the paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recovery.failures import Kind, diagnose, evidence_for

DOTTED = {
    "Headers": {
        "NServiceBus.ExceptionInfo.ExceptionType": "System.TimeoutException",
        "NServiceBus.ExceptionInfo.Message": "The operation has timed out.",
    },
    "Body": "e30=",
}


def said(body: Any, *paths: str) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    return evidence_for(text, {}, {}, error_body_paths=paths).error


@pytest.mark.parametrize(
    ("body", "paths", "error"),
    [
        ({"error": {"type": "KeyError", "text": "'sku'"}}, ("error.type", "error.text"), "KeyError\n'sku'"),
        (
            DOTTED,
            ("Headers.NServiceBus.ExceptionInfo.ExceptionType", "Headers.NServiceBus.ExceptionInfo.Message"),
            "System.TimeoutException\nThe operation has timed out.",
        ),
        ({"headers": '{"fault": "HTTP 503"}'}, ("headers.fault",), "HTTP 503"),
        ({"faults": [{"text": "HTTP 401"}, {"text": "HTTP 503"}]}, ("faults.text",), "HTTP 503"),
        ({"fault": {"a": 1}}, ("fault",), '{"a":1}'),
        ({"status": 503}, ("status",), "503"),
        ({"fault": None, "other": True}, ("fault", "other"), ""),
        ({"fault": "x"}, ("fault.deeper",), ""),
        ("no JSON", ("fault",), ""),
        ("[1]", ("fault",), ""),
    ],
)
def test_the_error_stands_where_the_policy_says(body: Any, paths: tuple[str, ...], error: str) -> None:
    """Names may hold dots, JSON may stand in a string, and of several failures the last one counts."""
    assert said(body, *paths) == error


def test_an_error_in_the_body_is_triaged_as_one() -> None:
    """The body stays the body, and the path's text is the error."""
    path = "Headers.NServiceBus.ExceptionInfo.ExceptionType"
    evidence = evidence_for(json.dumps(DOTTED), {}, {}, error_body_paths=(path,))
    assert evidence.source == "message body"
    assert diagnose(evidence).kind is Kind.TIMEOUT
    assert evidence_for(json.dumps(DOTTED), {}, {}).is_empty
