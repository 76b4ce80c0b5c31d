"""Asynchronous invocations as Lambda carries them out: one request id for all attempts, and what becomes of failures.

The emulator answers an asynchronous invocation with a request id that its records of failures do not repeat, and sends
the record of an on-failure destination also to dead-letter queues. Lambda repeats the id in both, and a dead-letter
queue gets the event alone, with three attributes ("Capturing records of Lambda asynchronous invocations", Lambda
developer guide).
"""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

RETRY_SECONDS = 0.2
"""Wait before the first repetition, in the place of Lambda's minute; the second takes twice as long."""
_LATEST = "$LATEST"
_request: contextvars.ContextVar[str] = contextvars.ContextVar("_request", default="")


class AsyncInvocations:
    """Takes the places of the emulator's handlers.

    Args:
        functions: the module `ministack.services.lambda_svc`.
        sqs, sns, eventbridge: the modules to which failures are sent.
    """

    def __init__(self, functions: Any, sqs: Any, sns: Any, eventbridge: Any) -> None:
        self._functions, self._sqs, self._sns, self._eventbridge = functions, sqs, sns, eventbridge
        self._invoke = functions._invoke

    def install(self) -> None:
        """Take their places."""
        self._functions._invoke = self.invoke
        self._functions.invoke_async_with_retry = self.begin

    async def invoke(self, name: str, event: Any, headers: Mapping[str, str], *more: Any, **named: Any) -> Any:
        """Answer an asynchronous invocation with the request id that all of its records repeat."""
        request = str(uuid4())
        _request.set(request)
        status, answered, body = await self._invoke(name, event, headers, *more, **named)
        return status, _Answered(answered, request) if status == 202 else answered, body

    def begin(self, function: Mapping[str, Any], event: Any) -> None:
        """Run a function in the background until it succeeds or its attempts are over."""
        request = _request.get() or str(uuid4())
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, function, event, request), daemon=True).start()

    def _run(self, function: Mapping[str, Any], event: Any, request: str) -> None:
        config = function.get("config") or function
        account, region = self._functions._account_region_from_function_config(config)
        self._functions._request_account_id.set(account)
        self._functions._request_region.set(region)
        head, _, rest = str(config["FunctionArn"]).partition(":function:")
        name, _, qualifier = rest.partition(":")
        known = self._functions._functions.get(name) or {}
        options = (known.get("event_invoke_configs") or {}).get(qualifier) or {}
        retries = options.get("MaximumRetryAttempts", 2)
        wait = threading.Event()
        result: Mapping[str, Any] = {}
        for attempt in range(retries + 1):
            if attempt:
                wait.wait(RETRY_SECONDS * 2 ** (attempt - 1))
            result = self._functions._execute_function(function, event)
            if not result.get("error"):
                return
        failed = _Failure(f"{head}:function:{name}:{qualifier or _LATEST}", event, request, retries + 1, result)
        target = str((config.get("DeadLetterConfig") or {}).get("TargetArn") or "")
        if target:
            self._send(target, json.dumps(event), failed.attributes())
        destination = ((options.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or ""
        if destination:
            self._send(str(destination), json.dumps(failed.record()), {})

    def _send(self, target: str, body: str, attributes: Mapping[str, Any]) -> None:
        """Deliver to a queue, a topic or a bus; what is gone swallows it, as with Lambda."""
        service = target.split(":")[2]
        if service == "sqs" and (queue := self._sqs._queue_by_arn(target)) is not None:
            self._sqs._act_send_message({"MessageBody": body, "MessageAttributes": dict(attributes)}, queue["url"])
        elif service == "sns":
            self._sns._fanout(target, str(uuid4()), body, "", "", dict(attributes))
        elif service == "events":
            entry = {
                "Source": "lambda",
                "DetailType": "Lambda Function Invocation Result - Failure",
                "Detail": body,
                "EventBusName": target,
            }
            self._eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


class _Answered(dict[str, str]):
    """Headers whose request id stays what it is: the emulator would put one of its own in its place."""

    def __init__(self, headers: Mapping[str, str], request: str) -> None:
        super().__init__(headers)
        self._request = request
        self.update()

    def update(self, *more: Any, **named: Any) -> None:
        super().update(*more, **named)
        self["x-amzn-requestid"] = self._request


class _Failure:
    """An invocation all of whose attempts failed."""

    def __init__(self, function: str, event: Any, request: str, attempts: int, result: Mapping[str, Any]) -> None:
        self._function, self._event, self._request, self._attempts = function, event, request, attempts
        stated = result.get("body")
        self._stated: Any = stated if isinstance(stated, dict) else {"errorMessage": str(stated)}
        self._error = str(result.get("function_error") or "Unhandled")

    def attributes(self) -> dict[str, Any]:
        """Those of a dead-letter queue."""
        words = str(self._stated.get("errorMessage") or "")[:1024] or "no message"
        return {
            "RequestID": {"DataType": "String", "StringValue": self._request},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": words},
        }

    def record(self) -> dict[str, Any]:
        """The one of an on-failure destination."""
        return {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": self._request,
                "functionArn": self._function,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": self._attempts,
            },
            "requestPayload": self._event,
            "responseContext": {"statusCode": 200, "executedVersion": _LATEST, "functionError": self._error},
            "responsePayload": self._stated,
        }
