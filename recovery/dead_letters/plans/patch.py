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
import regex
from jsonpointer import JsonPointerException
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recovery.dead_letters.messages import BATCH_BYTES, Message, size

PATTERN_SECONDS = 0.5
"""Most time that a pattern may take on one body."""
_SHOWN = 10
_NEEDED = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}


class Unfit(Exception):
    """The change does not fit the message; the text holds no value of it."""


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
            lines += _compared("", json.loads(before.body), json.loads(after.body))
        except ValueError:
            lines.append(f"body: {len(before.body)} characters become {len(after.body)}")
    for name in sorted(set(before.attributes) | set(after.attributes)):
        if before.attributes.get(name) != after.attributes.get(name):
            done = "removed" if name not in after.attributes else "set" if name in before.attributes else "added"
            lines.append(f"attribute {name}: {done}")
    return lines[:_SHOWN]


def kind_of(value: object) -> str:
    """Return the JSON type of a value, with its size where it has one."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return f"string of {len(value)}"
        case list():
            return f"array of {len(value)}"
        case _:
            return "object"


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
    try:
        made = jsonpatch.apply_patch(given, [dict(one) for one in operations])
    except jsonpatch.JsonPatchTestFailed:
        raise Unfit("a test of the patch failed") from None
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError, IndexError):
        raise Unfit("the patch names a place that its body does not have") from None
    text = json.dumps(made, ensure_ascii=body.isascii(), separators=_separators(body))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(made, separators=_separators(body))
    return text


def _separators(body: str) -> tuple[str, str]:
    """Return the separators that the body itself uses, as far as its beginning shows."""
    return (", ", ": ") if '": ' in body else (",", ":")


def _replaced(patch: Patch, body: str) -> str:
    try:
        made, count = regex.subn(patch.pattern, patch.replacement, body, timeout=PATTERN_SECONDS)
    except TimeoutError:
        raise Unfit("the pattern takes too long on its body") from None
    except (regex.error, IndexError):
        raise Unfit("the replacement names a group that the pattern does not have") from None
    if not count:
        raise Unfit("the pattern matches nowhere in its body")
    return str(made)


class _Inexact(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Inexact("an object of its body has a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise _Inexact(f"its body holds {name}, which is no JSON")


def _compared(path: str, before: Any, after: Any) -> list[str]:
    if type(before) is type(after) is dict:
        lines = []
        for name in dict.fromkeys([*before, *after]):
            place = f"{path}/{name}"
            if name not in after:
                lines.append(f"{place}: {kind_of(before[name])} removed")
            elif name not in before:
                lines.append(f"{place}: {kind_of(after[name])} added")
            else:
                lines += _compared(place, before[name], after[name])
        return lines
    if type(before) is type(after) is list and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for n, (old, new) in pairs for line in _compared(f"{path}/{n}", old, new)]
    return [] if before == after else [f"{path or '/'}: {kind_of(before)} becomes {kind_of(after)}"]
