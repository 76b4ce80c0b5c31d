"""The archive bucket: bundles, reports, and payloads of extended-client pointers."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.archive import Archive, Pointer, bundle_key, bundles, encode
from recovery.aws import client_config
from recovery.errors import OutcomeUnknown, Refused, Transient
from simulated_aws.server import SimulatedAws

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("sdk_does_not_wait")


@pytest.fixture
def archive(aws: SimulatedAws) -> Archive:
    aws.create_estate()
    return Archive(aws.client("s3", config=client_config()), aws.environment["REPRISE_ARCHIVE_BUCKET"])


def test_what_is_put_is_what_is_read(archive: Archive) -> None:
    """Line by line, whatever characters a body holds."""
    records = [{"body": "a\nb\r\nc\u2028\x85"}, {"body": "🙂 \udcff {{ x }}"}, {"body": ""}]
    archive.put_bundle("archive/x.ndjson.gz", [encode(record) for record in records])
    assert archive.read_bundle("archive/x.ndjson.gz") == records


def test_the_same_bundle_again_is_the_same_object(aws: SimulatedAws, archive: Archive) -> None:
    """A repetition replaces the object by the same bytes: its compression knows no time."""
    lines = [encode({"n": n}) for n in range(100)]
    archive.put_bundle("k", lines)
    first = aws.client("s3").head_object(Bucket=archive.bucket, Key="k")["ETag"]
    archive.put_bundle("k", lines)
    assert aws.client("s3").head_object(Bucket=archive.bucket, Key="k")["ETag"] == first


def test_anyone_can_read_a_bundle(aws: SimulatedAws, archive: Archive) -> None:
    """Gzip of lines of JSON, labelled as such, under Hive-style partitions."""
    key = bundle_key("dead_letters", "orders dlq/€.fifo", NOW, "run-1")
    assert key == "archive/path=dead_letters/source=orders_dlq__.fifo/date=2026-03-01/123456-run-1.ndjson.gz"
    archive.put_bundle(key, [encode({"n": 1}), encode({"n": 2})])
    stored = aws.client("s3").get_object(Bucket=archive.bucket, Key=key)
    assert (stored["ContentType"], stored["ContentEncoding"]) == ("application/x-ndjson", "gzip")
    assert [json.loads(line) for line in gzip.decompress(stored["Body"].read()).splitlines()] == [{"n": 1}, {"n": 2}]


@given(st.lists(st.integers(0, 40), max_size=50), st.integers(1, 60))
def test_bundles_are_bounded_and_lose_nothing(sizes: list[int], most: int) -> None:
    """In order, each at most as large as allowed; a line that alone is larger is not cut."""
    lines = [b"x" * size for size in sizes]
    parts = bundles(lines, most)
    assert [line for part in parts for line in part] == lines
    for part in parts:
        assert part
        assert sum(len(line) + 1 for line in part) <= most or len(part) == 1


def test_a_pointer_survives_its_json() -> None:
    """It stands in the detail of a case."""
    pointer = Pointer("archive/x", 7)
    assert Pointer.from_json(json.loads(json.dumps(pointer.as_json()))) == pointer


def _truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def _damaged(good: bytes) -> bytes:
    return good[:20] + b"\x00" * 10 + good[30:]


@pytest.mark.parametrize(
    "spoil",
    [
        _truncated,
        _damaged,
        lambda _: b"",
        lambda _: b"plain text",
    ],
    ids=["truncated", "damaged", "empty", "not gzip"],
)
def test_what_is_no_bundle_is_refused(aws: SimulatedAws, archive: Archive, spoil: Callable[[bytes], bytes]) -> None:
    """Somebody may have put anything there: one clear error that names the object, and no other exception."""
    good = gzip.compress(b"\n".join(encode({"body": f"message number {n}"}) for n in range(50)))
    aws.client("s3").put_object(Bucket=archive.bucket, Key="k", Body=spoil(good))
    if spoil(good) == b"":
        assert archive.read_bundle("k") == []
        return
    with pytest.raises(Refused, match="k is not a bundle"):
        archive.read_bundle("k")


def test_a_line_that_is_no_record_hides_no_other(aws: SimulatedAws, archive: Archive) -> None:
    """It counts as a line, since others are found by their place."""
    lines = [b'{"body": "1"}', b"{no json", b"[1, 2]", b"[" * 100_000, b'{"body": "2"}']
    aws.client("s3").put_object(Bucket=archive.bucket, Key="k", Body=gzip.compress(b"\n".join(lines)))
    assert archive.read_bundle("k") == [{"body": "1"}, {}, {}, {}, {"body": "2"}]


def test_a_bundle_that_expired_is_refused(archive: Archive) -> None:
    """A lifecycle rule may have removed it."""
    with pytest.raises(Refused, match="NoSuchKey"):
        archive.read_bundle("archive/gone")


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"kind": "error", "code": "AccessDenied", "status": 403}, Refused),
        ({"kind": "error", "code": "NoSuchBucket", "status": 404}, Refused),
        ({"kind": "error", "code": "SlowDown", "status": 503, "times": None}, Transient),
        ({"kind": "error", "code": "InternalError", "status": 500, "times": None}, OutcomeUnknown),
        ({"kind": "lose_ack", "times": None}, OutcomeUnknown),
    ],
)
def test_a_bundle_that_is_not_certainly_stored_is_an_error(
    aws: SimulatedAws, archive: Archive, rule: dict[str, Any], error: type[Exception]
) -> None:
    """Then nothing may be removed."""
    aws.fault(service="s3", operation="PutObject", **rule)
    with pytest.raises(error):
        archive.put_bundle("k", [b"{}"])


def test_a_throttled_put_gets_through(aws: SimulatedAws, archive: Archive) -> None:
    """The SDK repeats it."""
    aws.fault("error", service="s3", operation="PutObject", code="SlowDown", status=503, times=1)
    archive.put_bundle("k", [b"{}"])
    assert archive.read_bundle("k") == [{}]


def test_a_report_shows_its_address(aws: SimulatedAws, archive: Archive) -> None:
    """The full list of a run, as a stream."""
    address = archive.put_report("reports/x.gz", io.BytesIO(gzip.compress(b"{}\n")))
    assert address == f"s3://{archive.bucket}/reports/x.gz"
    assert aws.client("s3").get_object(Bucket=archive.bucket, Key="reports/x.gz")["Body"].read()


def test_a_payload_is_copied_and_never_moved(aws: SimulatedAws, archive: Archive) -> None:
    """The original belongs to the consumer, who may still want it; one that is gone is refused."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="big-payloads")
    s3.put_object(Bucket="big-payloads", Key="a b/ü", Body=b"huge")
    archive.copy_payload("big-payloads", "a b/ü", "payloads/m-1")
    assert s3.get_object(Bucket=archive.bucket, Key="payloads/m-1")["Body"].read() == b"huge"
    assert s3.get_object(Bucket="big-payloads", Key="a b/ü")["Body"].read() == b"huge"
    with pytest.raises(Refused):
        archive.copy_payload("big-payloads", "gone", "payloads/m-2")
