"""Row attributes as message attributes that SNS takes and delivers. Pure.

SNS refuses some attributes (names, reserved prefixes) and takes others that it then drops without a word: a
subscription with a filter policy discards a message whose values hold control characters, and a raw subscription of a
queue one with more than ten attributes. Both are met here, before anything is sent: what can be cleaned without a loss
is cleaned and reported, what cannot is named.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from recovery.outbox_records.models import Item, Value

RAW_DELIVERY_ATTRIBUTES = 10
"""With more attributes, raw delivery to SQS discards the message."""
NAME_LENGTH = 256

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_RESERVED = ("aws.", "amazon.")
_SEPARATORS = {"\u2028": " ", "\u2029": " "}
_LARGEST = Decimal(10) ** 9
_FEWEST = Decimal("0.00001")


@dataclass(slots=True)
class Attributes:
    """The message attributes of a row.

    Attributes:
        sent: as the API takes them.
        cleaned: a line for each attribute that goes out otherwise than it stands in the row; names, never values.
        refused: a sentence on the first attribute that SNS would never take; "" where there is none.
    """

    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    cleaned: list[str] = field(default_factory=list)
    refused: str = ""


def message_attributes(item: Item, names: tuple[str, ...], to_json: Callable[[Value], str]) -> Attributes:
    """The named row attributes as message attributes; the entries of a map become one each. Empty ones are left out.

    Args:
        to_json: writes a typed value as JSON.
    """
    found = Attributes()
    for name in names:
        value = item.get(name)
        if value is None:
            continue
        entries: Mapping[str, Value] = value.get("M", {name: value})
        for entry, inner in entries.items():
            attribute = _attribute(entry, inner, to_json, found)
            if attribute is None:
                continue
            found.refused = found.refused or wrong_name(entry, "" if entry == name else name)
            found.sent[entry] = attribute
    return found


def wrong_name(name: str, of: str = "") -> str:
    """A sentence on a name that SNS does not take; "" for a good one.

    Args:
        of: the row attribute (a map) whose entry it is.
    """
    where = f"the message attribute {printable(name)[:NAME_LENGTH]!r}" + (f" of {of!r}" if of else "")
    if len(name) > NAME_LENGTH:
        return f"{where} has a name of {len(name)} characters, and SNS takes {NAME_LENGTH}"
    if name.lower().startswith(_RESERVED):
        return f"{where} begins with AWS. or Amazon., which are reserved"
    if not _NAME.fullmatch(name):
        return f"{where} may hold A-Z, a-z, digits, _, - and single dots inside its name, and nothing else"
    return ""


def printable(text: str) -> str:
    """A text without the characters for which a subscription that filters discards its message: each is a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _SEPARATORS.get(char, char) if unicodedata.category(char) not in ("Cc", "Cs") else " " for char in text
    )


def printable_id(row_id: str) -> str:
    """A row's id as an attribute's value: as it stands, or as JSON text where that would not be printable.

    Two ids that differ only in such characters stay two.
    """
    return row_id if printable(row_id) == row_id else printable(json.dumps(row_id))


def _attribute(name: str, value: Value, to_json: Callable[[Value], str], found: Attributes) -> dict[str, Any] | None:
    [(kind, raw)] = value.items()
    if kind == "NULL":
        return None
    if kind == "B":
        return {"DataType": "Binary", "BinaryValue": bytes(raw)} if raw else None
    if kind == "N":
        return _number(name, str(raw), found)
    if kind in ("L", "SS", "NS") and _is_flat(value):
        return {"DataType": "String.Array", "StringValue": printable(to_json(value))}
    text = raw if kind == "S" else to_json(value)
    if not text:
        return None
    plain = printable(text)
    if plain != text:
        found.cleaned.append(f"{name}: control characters became spaces")
    return {"DataType": "String", "StringValue": plain}


def _is_flat(value: Value) -> bool:
    """True when a list holds only what SNS takes in an array: texts, numbers, true, false and null."""
    return "L" not in value or all(next(iter(each)) in ("S", "N", "BOOL", "NULL") for each in value["L"])


def _number(name: str, raw: str, found: Attributes) -> dict[str, Any]:
    """A number without an exponent. One that SNS cannot compare goes out as text, so that no subscription drops it."""
    try:
        number = Decimal(raw)
        if abs(number) <= _LARGEST and number == number.quantize(_FEWEST):
            return {"DataType": "Number", "StringValue": _plain(number)}
        text = _plain(number) if abs(number.adjusted()) < 40 else raw
    except InvalidOperation:
        text = raw
    found.cleaned.append(f"{name}: a number beyond 10^9 or five decimals went out as a String")
    return {"DataType": "String", "StringValue": text}


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
