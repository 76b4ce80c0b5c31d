"""Topics that refuse what SNS refuses, and drop in silence what SNS takes and a subscription then does not deliver.

docs/simulated-aws/sns.md says of each behaviour where it is known from.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

log = logging.getLogger("simulated_aws.topics")

LARGEST = 262_144
RAW_ATTRIBUTES = 10
"""A queue takes no more, and with raw delivery each attribute of the message becomes one of the queue's message."""
_NAME = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*")
_TYPE = re.compile(r"(String|Number|Binary|String\.Array)(\.[A-Za-z0-9_.\-]+)?")
_ID = re.compile(r"[!-~]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_A_QUEUE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
        self._matches: Callable[..., bool] = sns._matches_filter_policy

    def install(self) -> None:
        """Take the handlers' places."""
        self._sns._error, self._sns._publish = self.error, self.publish
        self._sns._publish_batch = self.publish_batch
        self._sns._matches_filter_policy = self.delivers

    def error(self, code: str, message: str, status: int) -> Any:
        """Answer an error with the code that SNS uses."""
        return self._error(self._codes.get(code, code), message, status)

    def publish(self, params: dict[str, Any]) -> Any:
        """Refuse an empty message, and whatever an entry of a batch is refused for."""
        entry = {
            "message": self._sns._p(params, "Message"),
            "subject": self._sns._p(params, "Subject"),
            "message_group_id": self._sns._p(params, "MessageGroupId"),
            "message_attributes": self._sns._parse_message_attributes(params),
        }
        if not entry["message"]:
            return self.error("InvalidParameter", "Invalid parameter: Empty message", 400)
        if words := refusal(entry):
            return self.error("InvalidParameter", words, 400)
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

    def delivers(self, subscription: Mapping[str, Any], attributes: Mapping[str, Any], message: str = "") -> bool:
        """True when a subscription delivers a message: its filter lets it through, and nothing makes SNS drop it."""
        if reason := dropped(subscription, attributes, message):
            log.info("%s drops a message: %s", subscription.get("arn"), reason)
            return False
        return self._matches(subscription, attributes, message)

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


def dropped(subscription: Mapping[str, Any], attributes: Mapping[str, Any], message: str) -> str:
    """Return the reason for which a subscription drops a message that SNS has taken; "" for one that it delivers.

    The publisher has its message id by then, and hears nothing of it.
    """
    settings = subscription.get("attributes", {})
    if settings.get("FilterPolicy") and settings.get("FilterPolicyScope", "MessageAttributes") == "MessageAttributes":
        for name, value in attributes.items():
            text = value.get("StringValue") or ""
            if _CONTROL.search(text):
                return f"its filter cannot read attribute {name!r}, which holds a control character"
            if value.get("DataType") == "String.Array" and not _is_array(text):
                return f"its filter cannot read attribute {name!r}, which is no JSON array"
    if subscription.get("protocol") == "sqs" and settings.get("RawMessageDelivery") == "true":
        if len(attributes) > RAW_ATTRIBUTES:
            return f"a queue takes {RAW_ATTRIBUTES} attributes, and raw delivery would bring {len(attributes)}"
        if _NOT_IN_A_QUEUE.search(message):
            return "raw delivery would bring characters that no queue takes"
    return ""


def _is_array(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


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
