"""Changes to a message before it is sent back: JSON Patch, attributes, and a regular expression for other bodies. Pure.

Nothing but the named change may differ in the result: a body whose numbers or keys would not survive being read and
written again does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonpatch
import jsonpointer
import regex
from jsonpointer import JsonPointerException
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recovery.dead_letters.messages import BATCH_BYTES, Message, size
from recovery.dead_letters.plans.masking import compared

PATTERN_SECONDS = 0.5
"""Most time that a pattern may take on one body."""
_SHOWN = 10
_ATTRIBUTE = regex.compile(r"(?!\.)(?!.*\.\.)(?!(?i:aws|amazon)\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_UNSENDABLE = regex.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SQS takes neither in a body nor in an attribute."""
_SEPARATORS = ((", ", ": "), (",", ":"), (",", ": "), (", ", ":"))
_NEEDED = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}


class Unfit(Exception):
    """The change does not fit the message; the text holds no value of it."""


class Slow(Unfit):
    """The pattern took too long on the message."""


class Patch(BaseModel):
    """A change to messages. Empty: they are sent unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: tuple[dict[str, Any], ...] = Field(
        (),
        max_length=100,
        title="JSON Patch",
        description='Operations of RFC 6902 on a JSON body, with tests: {"op": "test", "path": "/a", "value": 1}.',
    )
    set_attributes: dict[str, str] = Field(
        default_factory=dict, max_length=10, title="Set attributes", description="String attributes to set, by name."
    )
    remove_attributes: tuple[str, ...] = Field(
        (), max_length=10, title="Remove attributes", description="Names of attributes to remove."
    )
    pattern: str = Field(
        "", max_length=2_000, title="Pattern", description="Regular expression, for bodies that are not JSON."
    )
    replacement: str = Field(
        "", max_length=10_000, title="Replacement", description="Text in place of the pattern's matches."
    )

    @field_validator("body")
    @classmethod
    def _is_json_patch(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        try:
            jsonpatch.JsonPatch(list(value))
        except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
            raise ValueError(f"it is no JSON Patch: {str(error)[:200]}") from None
        for one in value:
            needed = _NEEDED.get(one["op"])
            if needed and needed not in one:
                raise ValueError(f"it is no JSON Patch: {one['op']} {one['path']} has no {needed}")
        return value

    @field_validator("set_attributes")
    @classmethod
    def _are_attributes(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _ATTRIBUTE.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is no name of an SQS attribute: A-Z, a-z, 0-9, '_', '-' and '.'")
            if not text:
                raise ValueError(f"{name}: SQS takes no empty value; remove the attribute instead")
            if _UNSENDABLE.search(text):
                raise ValueError(f"{name}: SQS does not take a control character")
        return value

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            regex.compile(value)
        except regex.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        return value

    @property
    def is_empty(self) -> bool:
        """True when nothing is changed."""
        return not (self.body or self.set_attributes or self.remove_attributes or self.pattern)


def apply(patch: Patch, message: Message) -> Message:
    """Return the changed message; the same one for an empty change.

    Raises:
        Unfit: it does not fit; without a value of the message.
    """
    if patch.is_empty:
        return message
    body = message.body
    if patch.body:
        body = _patched(patch.body, body)
    if patch.pattern:
        body = _replaced(patch, body)
    attributes = {name: value for name, value in message.attributes.items() if name not in patch.remove_attributes}
    missing = sorted(set(patch.remove_attributes) - set(message.attributes))
    if missing:
        raise Unfit(f"it has no attribute {missing[0]}")
    attributes |= {name: {"DataType": "String", "StringValue": value} for name, value in patch.set_attributes.items()}
    changed = replace(message, body=body, attributes=attributes)
    if not body:
        raise Unfit("its body would be empty")
    if _UNSENDABLE.search(body):
        raise Unfit("its body would hold a character that SQS does not take")
    if len(attributes) > 10:
        raise Unfit("it would have more than 10 attributes")
    if size(changed) > BATCH_BYTES:
        raise Unfit("it would be too large for SQS")
    if (changed.body, changed.attributes) == (message.body, message.attributes):
        raise Unfit("the change leaves it as it is")
    return changed


def differences(before: Message, after: Message) -> list[str]:
    """Return the differences without values: paths and types only, at most ten lines."""
    lines = []
    if before.body != after.body:
        try:
            lines += compared(json.loads(before.body), json.loads(after.body))
        except (ValueError, RecursionError):
            lines.append(f"body: {len(before.body)} characters become {len(after.body)}")
    for name in sorted(set(before.attributes) | set(after.attributes)):
        if before.attributes.get(name) != after.attributes.get(name):
            done = "removed" if name not in after.attributes else "set" if name in before.attributes else "added"
            lines.append(f"attribute {name}: {done}")
    return lines[:_SHOWN]


def _patched(operations: Sequence[Mapping[str, Any]], body: str) -> str:
    try:
        exact = json.loads(body, parse_float=Decimal, object_pairs_hook=_once, parse_constant=_no_constant)
        given = json.loads(body)
    except RecursionError:
        raise Unfit("its body is nested too deeply") from None
    except ValueError as error:
        raise Unfit(str(error) if isinstance(error, _Inexact) else "its body is not JSON") from None
    if json.loads(json.dumps(given), parse_float=Decimal) != exact:
        raise Unfit("a number of its body cannot be kept exactly")
    separators = _separators(body, given)
    try:
        made = _operated(given, operations)
    except jsonpatch.JsonPatchTestFailed:
        raise Unfit("a test of the patch failed") from None
    except RecursionError:
        raise Unfit("its body is nested too deeply") from None
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError, IndexError, ValueError):
        raise Unfit("the patch names a place that its body does not have") from None
    text = json.dumps(made, ensure_ascii=body.isascii(), separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(made, separators=separators)
    return text


def _operated(value: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return the value after the operations. Copies may double it each time: its size is looked at behind each."""
    for one in operations:
        if one["op"] == "test" and not _same(jsonpointer.resolve_pointer(value, one["path"]), one["value"]):
            raise jsonpatch.JsonPatchTestFailed
        value = jsonpatch.apply_patch(value, [dict(one)])
        if one["op"] == "copy" and len(json.dumps(value)) > 6 * BATCH_BYTES:
            raise Unfit("it would be too large for SQS")
    return value


def _same(found: Any, wanted: Any) -> bool:
    """True for equal JSON values; in JSON, true is not 1."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return isinstance(found, bool) is isinstance(wanted, bool) and bool(found == wanted)


def _separators(body: str, value: Any) -> tuple[str, str]:
    """Return the separators with which the body itself was written, as far as it shows them."""
    for pair in _SEPARATORS:
        if json.dumps(value, ensure_ascii=body.isascii(), separators=pair) == body:
            return pair
    return _SEPARATORS[0] if '": ' in body else _SEPARATORS[1]


def _replaced(patch: Patch, body: str) -> str:
    room = BATCH_BYTES

    def expanded(found: regex.Match[str]) -> str:
        nonlocal room
        text = str(found.expand(patch.replacement))
        room -= len(text)
        if room < 0:
            raise Unfit("it would be too large for SQS")
        return text

    try:
        made, count = regex.subn(patch.pattern, expanded, body, timeout=PATTERN_SECONDS)
    except TimeoutError:
        raise Slow("the pattern takes too long on its body") from None
    except (regex.error, IndexError):
        raise Unfit("the replacement names a group that the pattern does not have") from None
    if not count:
        raise Unfit("the pattern matches nowhere in its body")
    if _is_json(body) and not _is_json(made):
        raise Unfit("its body is JSON and would be none any more")
    return str(made)


def _is_json(body: str) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


class _Inexact(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Inexact("an object of its body has a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise _Inexact(f"its body holds {name}, which is no JSON")
