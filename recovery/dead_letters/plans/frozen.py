"""The frozen set of a plan: one compressed object of lines of JSON beside the archive, without any body or value.

The first line is the head: what is done with the set. Each further line is one message. The digest is the hash of all
of it, so that what a person reviewed is what is carried out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recovery.archive import Archive, encode
from recovery.dead_letters.archived import to_record
from recovery.dead_letters.messages import Message
from recovery.errors import Refused
from recovery.fields import Fields


@dataclass(frozen=True, slots=True)
class Line:
    """One message of the set.

    Attributes:
        id: its key in the ledger and in the archive.
        content: the content hash that its case had.
        key, line: its place in the archive.
        to: URL of the queue that it goes to.
        sha: hash of exactly what will be sent.
    """

    id: str
    content: str
    key: str
    line: int
    to: str
    sha: str


def object_key(plan_id: str) -> str:
    """Return the key of a plan's frozen set in the archive bucket."""
    return f"plans/path=dead_letters/{plan_id}.ndjson.gz"


def sha_of(message: Message) -> str:
    """Return the hash of what is sent of a message: its body and its attributes."""
    record = to_record(message)
    return hashlib.sha256(encode({"body": record["body"], "attributes": record["attributes"]})).hexdigest()


def encoded(line: Line) -> bytes:
    """Return a line as the object holds it."""
    return encode(asdict(line))


class Frozen:
    """Reads a frozen set, line by line.

    Args:
        archive: of the estate.
        key: of its object.
    """

    def __init__(self, archive: Archive, key: str) -> None:
        self._archive = archive
        self._key = key

    def head(self, digest: str) -> Mapping[str, Any]:
        """Return the head of the set, once all of it was found to be as it was reviewed.

        Raises:
            Refused: it is gone, or not what the digest names.
        """
        found, head = hashlib.sha256(), b""
        for raw in self._archive.lines(self._key):
            head = head or raw
            found.update(raw + b"\n")
        if found.hexdigest() != digest:
            raise Refused(f"the frozen set {self._key} is not what the digest names: make a new plan")
        read: Mapping[str, Any] = json.loads(head)
        return read

    def lines(self, first: int, end: int | None = None) -> Iterator[Line]:
        """Yield the lines from `first` (0 is the first message) up to `end`."""
        for number, raw in enumerate(self._archive.lines(self._key), -1):
            if number < first:
                continue
            if end is not None and number >= end:
                return
            read = Fields(json.loads(raw), "id", "content", "key", "line", "to", "sha")
            texts = {name: read.text(name) for name in ("id", "content", "key", "to", "sha")}
            yield Line(line=read.count("line"), **texts)
