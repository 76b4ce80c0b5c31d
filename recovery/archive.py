"""The archive: what could not be brought back, kept whole in S3 until a person decides.

Many items share one compressed NDJSON object, so that Athena, DuckDB or pandas can read a day of failures at once;
the ledger's case points at object and line. Keys are partitioned by path, source and date.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUNDLE_BYTES = 8 * 1024 * 1024
"""The most one bundle holds before compression."""

ACTIONS = {
    "put_bundle": ("s3:PutObject",),
    "put_report": ("s3:PutObject",),
    "read_bundle": ("s3:GetObject",),
    "lines": ("s3:GetObject",),
    "copy_payload": ("s3:GetObject", "s3:PutObject"),
}


@dataclass(frozen=True, slots=True)
class Pointer:
    """Place of a record: an object of the archive bucket, and the line in it, counted from 0."""

    key: str
    line: int

    def as_json(self) -> dict[str, Any]:
        """For the detail of a case."""
        return {"key": self.key, "line": self.line}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Pointer:
        """Read the result of `as_json`."""
        return cls(str(raw["key"]), int(raw["line"]))


def bundles(lines: Sequence[bytes], most: int = BUNDLE_BYTES) -> list[Sequence[bytes]]:
    """Split records (each one encoded line without its newline) into bundles of at most `most` bytes.

    A record that alone is larger gets a bundle of its own: nothing is cut.
    """
    parts: list[list[bytes]] = []
    room = 0
    for line in lines:
        size = len(line) + 1
        if not parts or size > room:
            parts.append([])
            room = most
        parts[-1].append(line)
        room -= size
    return list(parts)


def encode(record: Mapping[str, Any]) -> bytes:
    """A record as one line of JSON. Text that is not valid Unicode survives as escapes."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def bundle_key(path: str, source: str, now: datetime, name: str) -> str:
    """The key of a bundle: Hive-style partitions, as Athena and DuckDB read them."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", source)
    return f"archive/path={path}/source={plain}/date={now:%Y-%m-%d}/{now:%H%M%S}-{name}.ndjson.gz"


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


class Archive:
    """Writes and reads the archive bucket.

    Args:
        client: a boto3 S3 client.
        bucket: the bucket's name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def put_bundle(self, key: str, lines: Sequence[bytes]) -> None:
        """Store one bundle; writing the same key again replaces it with the same content.

        Raises:
            Transient, OutcomeUnknown: nothing may be removed yet.
            Refused: the bucket is missing or may not be written.
        """
        body = gzip.compress(b"".join(line + b"\n" for line in lines), compresslevel=5, mtime=0)
        with calling("s3:PutObject"):
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="application/x-ndjson", ContentEncoding="gzip"
            )

    def put_report(self, key: str, body: IO[bytes]) -> str:
        """Store the full list of a run (gzip-compressed NDJSON); returns its s3:// address."""
        with calling("s3:PutObject"):
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="application/x-ndjson", ContentEncoding="gzip"
            )
        return f"s3://{self.bucket}/{key}"

    def read_bundle(self, key: str) -> list[dict[str, Any]]:
        """All records of a bundle, in line order; an empty one for a line that is no record.

        Raises:
            Refused: no such object (a lifecycle rule may have removed it), or no permission.
        """
        with calling("s3:GetObject"):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            body = answer["Body"].read()
        try:
            lines = gzip.decompress(body).splitlines()
        except (OSError, EOFError, zlib.error) as error:
            raise Refused(f"s3:GetObject: {key} is not a bundle of this archive: {type(error).__name__}") from error
        return [_record(line) for line in lines if line]

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of a compressed object one by one, as they arrive: memory does not grow with its size.

        Raises:
            Refused: no such object, no permission, or it is not compressed lines.
            Transient: it could not be read to its end.
        """
        with calling("s3:GetObject"):
            body: Any = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
        with closing(body):
            unpacked = gzip.GzipFile(fileobj=io.BufferedReader(_Readable(body), 65_536))
            while True:
                try:
                    with calling("s3:GetObject"):
                        line = unpacked.readline()
                except (OSError, EOFError, zlib.error) as error:
                    raise Refused(f"s3:GetObject: {key} is not whole: {type(error).__name__}") from error
                if not line:
                    return
                yield line.rstrip(b"\n")

    def copy_payload(self, bucket: str, key: str, to: str) -> None:
        """Copy the payload object of an extended-client pointer into the archive. The original is never deleted."""
        with calling("s3:CopyObject"):
            # A copy takes the tags along unless asked otherwise, and that needs permissions of its own.
            self._client.copy_object(
                Bucket=self.bucket, Key=to, CopySource={"Bucket": bucket, "Key": key}, TaggingDirective="REPLACE"
            )


class _Readable(io.RawIOBase):
    """The body of an answer as a raw stream of Python's."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found: bytes = self._body.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
