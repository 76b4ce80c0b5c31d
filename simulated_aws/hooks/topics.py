"""Topics that refuse what SNS refuses: names, prefixes, types and values of message attributes, subjects, group ids.

The limits are those of the developer guide (message attributes, Publish, PublishBatch); the words of the refusals are
assumed. What SNS takes and then drops (a tab in a value, an eleventh attribute with raw delivery) is taken here, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

LARGEST = 262_144
_NAME = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*")
_TYPE = re.compile(r"(String|Number|Binary|String\.Array)(\.[A-Za-z0-9_.\-]+)?")
_ID = re.compile(r"[!-~]{1,128}")


class StrictTopics:
    """Puts SNS's limits before the emulator's own handlers.

    Args:
        sns: the emulator's module.
        codes: SNS's spelling of error codes, by the emulator's.
    """

    def __init__(self, sns: Any, codes: Mapping[str, str]) -> None:
        self._sns = sns
        self._codes = codes
        self._error = sns._error
        self._publish: Callable[[dict[str, Any]], Any] = sns._publish
        self._publish_batch: Callable[[dict[str, Any]], Any] = sns._publish_batch
        self._entries: Callable[[dict[str, Any]], list[dict[str, Any]]] = sns._parse_batch_entries

    def install(self) -> None:
        """Take the handlers' places."""
        self._sns._error, self._sns._publish = self.error, self.publish
        self._sns._publish_batch = self.publish_batch

    def error(self, code: str, message: str, status: int) -> Any:
        """Answer an error with the code that SNS uses."""
        return self._error(self._codes.get(code, code), message, status)

    def publish(self, params: dict[str, Any]) -> Any:
        """Refuse an empty message."""
        if not self._sns._p(params, "Message"):
            return self.error("InvalidParameter", "Invalid parameter: Empty message", 400)
        return self._publish(params)

    def publish_batch(self, params: dict[str, Any]) -> Any:
        """Refuse a batch for its size or an empty message, and single entries for what stands in them."""
        entries = self._entries(params)
        if any(not entry["message"] for entry in entries):
            return self.error("InvalidParameter", "Invalid parameter: Empty message", 400)
        if sum(map(_size, entries)) > LARGEST:
            message = "The length of all the batch messages put together is more than the limit."
            return self.error("BatchRequestTooLong", message, 400)
        refused = {entry["id"]: words for entry in entries if (words := refusal(entry))}
        if not refused or len(entries) > 10:
            return self._publish_batch(params)
        self._sns._parse_batch_entries = lambda _: [entry for entry in entries if entry["id"] not in refused]
        try:
            answer = self._publish_batch(params) if len(refused) < len(entries) else self._nothing_sent()
        finally:
            self._sns._parse_batch_entries = self._entries
        return _with_failed(answer, refused)

    def _nothing_sent(self) -> Any:
        body = (
            '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful/>'
            "<Failed></Failed></PublishBatchResult></PublishBatchResponse>"
        )
        return 200, {"Content-Type": "text/xml"}, body.encode()


def refusal(entry: Mapping[str, Any]) -> str:
    """Return what SNS says of an entry that it does not take; "" for one that it takes."""
    subject = entry.get("subject") or ""
    if len(subject) >= 100 or any(ord(char) < 32 for char in subject):
        return "Invalid parameter: Subject"
    group = entry.get("message_group_id") or ""
    if group and not _ID.fullmatch(group):
        return "Invalid parameter: MessageGroupId"
    for name, value in entry["message_attributes"].items():
        if len(name) > 256 or not _NAME.fullmatch(name) or name.lower().startswith(("aws.", "amazon.")):
            return f"Invalid parameter: Message attribute name {name!r}"
        kind, text = value.get("DataType") or "", value.get("StringValue")
        if not _TYPE.fullmatch(kind):
            return f"Invalid parameter: Message attribute type {kind!r}"
        if kind.startswith("Binary"):
            continue  # the emulator does not keep the value
        if not text:
            return f"Invalid parameter: Message attribute {name!r} has no value"
        if kind.startswith("Number") and not _is_number(text):
            return f"Invalid parameter: Message attribute {name!r} is no number"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text and text.lower() not in ("nan", "inf", "-inf", "infinity", "-infinity")


def _size(entry: Mapping[str, Any]) -> int:
    attributes: Iterable[tuple[str, Any]] = entry["message_attributes"].items()
    return len(entry["message"].encode()) + sum(len(f"{name}{value}".encode()) for name, value in attributes)


def _with_failed(answer: Any, refused: Mapping[str, str]) -> Any:
    status, headers, body = answer
    members = "".join(
        f"<member><Id>{escape(entry)}</Id><Code>InvalidParameter</Code><Message>{escape(words)}</Message>"
        "<SenderFault>true</SenderFault></member>"
        for entry, words in refused.items()
    )
    text = body.decode() if isinstance(body, bytes) else str(body)
    if "<Failed/>" in text:
        text = text.replace("<Failed/>", f"<Failed>{members}</Failed>")
    else:
        text = text.replace("</Failed>", f"{members}</Failed>")
    return status, {k: v for k, v in headers.items() if k.lower() != "content-length"}, text.encode()
