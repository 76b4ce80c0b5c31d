"""An archived message as a person sees it: no body, its structure with values hidden, or all of it. Pure.

Whatever a message holds, it cannot steer the terminal: control characters are written as escapes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any
from xml.parsers import expat

from recovery.dead_letters.plans.masking import kind_of, masked

_HEX_BYTES = 4_096
_OF_THE_PRODUCER = frozenset({"MessageGroupId", "MessageDeduplicationId", "AWSTraceHeader"})
"""System attributes whose values the producer chose: often a customer."""


class Level(StrEnum):
    """Levels of a look."""

    NONE = "none"
    MASKED = "masked"
    FULL = "full"


def shown(record: Mapping[str, Any], level: Level, show: Collection[str] = ()) -> str:
    """Return a record of the archive as lines of text.

    Args:
        record: as the archive keeps it.
        level: of the look.
        show: JSON Pointers whose values are shown where others are hidden.
    """
    diagnosis = record.get("diagnosis") or {}
    lines = [f"message {record.get('message_id')} of {record.get('queue')}, origin {record.get('origin')}"]
    lines.append(f"archived {record.get('archived_at')}, first seen {record.get('first_seen')}")
    lines.append(f"attempts {record.get('attempts')}; {(record.get('verdict') or {}).get('reason', '')}")
    if diagnosis:
        lines.append(f"diagnosis {diagnosis.get('kind')} by {diagnosis.get('rule')}, group {diagnosis.get('group')}")
        lines.append(f"error {diagnosis.get('normalised')}")
    if level is Level.FULL:
        lines.append(f"evidence {(record.get('evidence') or {}).get('error')}")
    for name, value in sorted((record.get("system") or {}).items()):
        hidden = level is not Level.FULL and name in _OF_THE_PRODUCER
        lines.append(f"{name}: {f'<{kind_of(str(value))}>' if hidden else value}")
    for name, attribute in sorted((record.get("attributes") or {}).items()):
        lines.append(f"attribute {name} ({attribute.get('DataType')}): {_attribute(attribute, level)}")
    if level is not Level.NONE:
        lines += ["", *body_lines(str(record.get("body", "")), level, show)]
    return "\n".join(plain(line) for line in lines)


def body_lines(body: str, level: Level, show: Collection[str] = ()) -> list[str]:
    """Return a body pretty-printed: JSON, XML, text, or bytes as hex."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        pass
    else:
        if level is Level.MASKED:
            value = masked(value, show)
        try:
            return json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        except RecursionError:
            return [body]
    if body.lstrip().startswith("<"):
        try:
            return _xml(body, level)
        except (expat.ExpatError, _Entities):
            pass
    if any(not char.isprintable() and char not in "\r\n\t" for char in body):
        raw = body.encode("utf-8", "surrogatepass")
        if level is Level.MASKED:
            return [f"bytes: {len(raw)}"]
        cut = raw[:_HEX_BYTES]
        rows = [f"{at:08x}  {cut[at : at + 16].hex(' ')}" for at in range(0, len(cut), 16)]
        return rows + ([f"... {len(raw) - len(cut)} bytes more"] if len(raw) > len(cut) else [])
    if level is Level.MASKED:
        return [f"text: {len(body)} characters in {body.count(chr(10)) + 1} line(s)"]
    return body.splitlines()


def plain(line: str) -> str:
    """Return the line without characters that control a terminal."""
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape", "surrogatepass").decode()
        for char in line
    )


def _attribute(attribute: Mapping[str, Any], level: Level) -> str:
    if "BinaryValue" in attribute:
        raw = base64.b64decode(str(attribute["BinaryValue"]))
        return raw.hex(" ") if level is Level.FULL else f"<bytes: {len(raw)}>"
    text = str(attribute.get("StringValue", ""))
    return text if level is Level.FULL else f"<{kind_of(text)}>"


class _Entities(Exception):
    """A document that declares entities is not expanded."""


def _xml(body: str, level: Level) -> list[str]:
    lines: list[str] = []
    depth = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        inner = "".join(
            f' {key}="{value if level is Level.FULL else f"<{kind_of(value)}>"}"' for key, value in attributes.items()
        )
        lines.append(f"{'  ' * depth}<{name}{inner}>")
        depth += 1

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        lines.append(f"{'  ' * depth}</{name}>")

    def text(data: str) -> None:
        if data.strip():
            lines.append(f"{'  ' * depth}{data.strip() if level is Level.FULL else f'<{kind_of(data.strip())}>'}")

    def entities(*_: object) -> None:
        raise _Entities

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entities
    parser.Parse(body, True)
    return lines
