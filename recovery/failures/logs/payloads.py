"""Dumps of payloads inside what a consumer wrote: they are the customer's words, not the consumer's. Pure."""

from __future__ import annotations

import json
import re

_DECODER = json.JSONDecoder(strict=False)
_OPENS = re.compile(r"[{\[]\s{0,4}(?:\\?[\"']|[{\[])")
_FAILS = re.compile(
    r"[\"'](?:error|errors|err|fault|exception|errorMessage|errorType|error_description|error_code|errorCode|"
    r"code|status|"
    r"statusCode|message|msg|detail|details|title|reason|cause|stack|type|Code|Message|__type|name|description|"
    r"problem|faultstring|resultCode|result|failure|failures|violations|validation|description|sqlState)[\"']\s?:",
)
_DUMPS = re.compile(
    r"[\"'](?:Records|body|Body|receiptHandle|ReceiptHandle|messageId|MessageId|eventSource|"
    r"messageAttributes)[\"']\s?:"
)
_MOST = 12


def without_payloads(text: str) -> str:
    """The text with JSON that speaks of no error replaced by `{…}`."""
    if "{" not in text and "[" not in text:
        return text
    out: list[str] = []
    position = 0
    for _ in range(_MOST):
        found = _OPENS.search(text, position)
        if found is None:
            break
        start = found.start()
        end = _end(text, start)
        if end is None:
            out.append(text[position : start + 1])
            position = start + 1
            continue
        dump = text[start:end]
        if _DUMPS.search(dump) or not _FAILS.search(dump):
            out.append(text[position:start] + "{…}")
        else:
            out.append(text[position:end])
        position = end
    out.append(text[position:])
    return "".join(out)


def _end(text: str, start: int) -> int | None:
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return _balanced(text, start)
    return end


def _balanced(text: str, start: int) -> int | None:
    """The end of what looks like an object in Python's, Ruby's or a cut spelling."""
    depth = 0
    for place in range(start, min(len(text), start + 8_000)):
        sign = text[place]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if depth == 0:
                return place + 1
        elif sign == "\n":
            return None
    return None
