"""Events of AppFlow are read as they really come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.errors import BadInput
from recovery.events.appflow import AppFlowEvent, read

# The fields are those that the user guide names (flow notifications), the values those of a real report of 2024, with
# names of our own.
REPORT: dict[str, Any] = {
    "version": "0",
    "id": "5211c7f7-d362-4b46-b65c-afcc11e89172",
    "detail-type": "AppFlow End Flow Run Report",
    "source": "aws.appflow",
    "account": "123456789012",
    "time": "2024-07-03T03:20:13Z",
    "region": "ap-southeast-2",
    "resources": ["52a7be052aa910faa3752fc4fe8f09b7"],
    "detail": {
        "flow-name": "orders-to-s3",
        "created-by": "arn:aws:sts::123456789012:assumed-role/engineers/someone",
        "flow-arn": "arn:aws:appflow:ap-southeast-2:123456789012:flow/orders-to-s3",
        "source": "CUSTOMCONNECTOR/some-connector",
        "destination": "S3",
        "source-object": "sites/orders",
        "destination-object": "s3://some-bucket/raw/",
        "trigger-type": "ONDEMAND",
        "num-of-records-processed": "3",
        "execution-id": "6ebcb45a-a1c9-4459-bdd5-35e70660f8b7",
        "num-of-records-filtered": "0",
        "start-time": "2024-07-03T03:20:02.829Z[UTC]",
        "num-of-documents-processed": "3",
        "end-time": "2024-07-03T03:20:12.917Z[UTC]",
        "num-of-record-failures": "0",
        "data-processed": "1333201",
        "status": "Execution Successful",
    },
}


def report(detail_type: str = "AppFlow End Flow Run Report", **detail: Any) -> AppFlowEvent:
    event = read({**REPORT, "detail-type": detail_type, "detail": {**REPORT["detail"], **detail}})
    assert event is not None
    return event


def test_a_real_end_report() -> None:
    """Kebab-case keys, numbers as strings and times with a zone in brackets are all read."""
    event = read(REPORT)
    assert event == AppFlowEvent(
        id="5211c7f7-d362-4b46-b65c-afcc11e89172",
        detail_type="AppFlow End Flow Run Report",
        flow="orders-to-s3",
        flow_arn="arn:aws:appflow:ap-southeast-2:123456789012:flow/orders-to-s3",
        account="123456789012",
        region="ap-southeast-2",
        time=datetime(2024, 7, 3, 3, 20, 13, tzinfo=UTC),
        run="6ebcb45a-a1c9-4459-bdd5-35e70660f8b7",
        status="Execution Successful",
        trigger="ONDEMAND",
        started=datetime(2024, 7, 3, 3, 20, 2, 829000, tzinfo=UTC),
        ended=datetime(2024, 7, 3, 3, 20, 12, 917000, tzinfo=UTC),
        records=3,
        failed_records=0,
    )
    assert not event.is_failure


@pytest.mark.parametrize("status", ["Execution Failed", "Execution Partially Successful", "", "Unsuccessful", "Done"])
def test_whatever_is_no_success_is_a_failure(status: str) -> None:
    """Only the one confirmed text means success; anything else makes somebody look."""
    assert report(status=status).is_failure


@pytest.mark.parametrize("status", ["Execution Successful", "execution successful", "Execution Canceled", "Cancelled"])
def test_what_nobody_need_look_at(status: str) -> None:
    """A success, however it is written, and a run that a person cancelled start nothing."""
    assert not report(status=status).is_failure


def test_failed_records_in_a_success() -> None:
    """A success that left records behind is worth a look."""
    assert report(**{"num-of-record-failures": "2"}).is_failure


def test_a_start_report_is_no_failure() -> None:
    """A run that has begun has not failed, whatever its status text."""
    assert not report("AppFlow Start Flow Run Report", status="Execution Started").is_failure


@pytest.mark.parametrize("detail_type", ["AppFlow Scheduled Flow Deactivated", "AppFlow Event Flow Deactivated"])
def test_deactivations(detail_type: str) -> None:
    """A flow that AppFlow switched off is always worth a look, and its reason is kept."""
    event = report(detail_type, **{"deactivation-reason": "too many failures", "status": None})
    assert event.is_failure
    assert event.is_deactivation
    assert event.reason == "too many failures"


@pytest.mark.parametrize(
    ("detail", "fails"),
    [
        ({"status": None}, False),
        ({"status": None, "num-of-record-failures": "0", "num-of-events": "12"}, False),
        ({"status": "In Progress"}, False),
        ({"status": "Active"}, False),
        ({"status": "Execution Failed"}, True),
        ({"status": None, "num-of-record-failures": "3"}, True),
        ({"status": None, "error": "the channel is gone"}, True),
        ({"status": "Inactive"}, True),
    ],
)
def test_five_minute_reports(detail: dict[str, Any], fails: bool) -> None:
    """An event-triggered flow counts its events every five minutes: a failure is one that the report speaks of."""
    assert report("AppFlow Event Flow Report", **detail).is_failure is fails


def test_a_flow_is_named_by_its_arn_where_it_must_be() -> None:
    """An event without the name still names its flow."""
    unnamed: dict[str, Any] = {"flow-name": None}
    assert report(**unnamed).flow == "orders-to-s3"


def test_twins_are_known() -> None:
    """Reports of temporary twins can be distinguished from others by the name."""
    assert report(**{"flow-name": "reprise-twin-0f"}).is_twin
    assert not report().is_twin


def test_swapped_arns_change_nothing() -> None:
    """Events of 2021 had account and region swapped in the ARN; the name is what counts."""
    swapped = "arn:aws:appflow:123456789012:us-east-1:flow/orders-to-s3"
    assert report(**{"flow-arn": swapped}).flow == "orders-to-s3"


@pytest.mark.parametrize(
    "event",
    [
        {**REPORT, "source": "aws.dms"},
        {**REPORT, "detail-type": "AppFlow Automatic Field Import Report"},
        {"detail-type": "AppFlow End Flow Run Report"},
        {},
    ],
)
def test_other_events(event: dict[str, Any]) -> None:
    """An event other than AppFlow's run reports and deactivations is not read."""
    assert read(event) is None


@pytest.mark.parametrize("detail", [None, [], "x", {}, {"flow-name": ""}, {"flow-name": 7}])
def test_without_a_flow(detail: Any) -> None:
    """A report that names no flow, by name or ARN, is refused, with the field that is missing."""
    with pytest.raises(BadInput, match="detail"):
        read({**REPORT, "detail": detail})


_words = st.sampled_from(["", "3", "-1", "²", "2024-07-03T03:20:13Z[UTC]", "24:00", "orders", "[UTC]", "9" * 40])
_json = _words | st.none() | st.booleans() | st.integers(-2, 2) | st.lists(_words, max_size=1)


@settings(derandomize=True)
@given(st.dictionaries(st.sampled_from(sorted(REPORT["detail"])), _json))
def test_nothing_in_a_detail_makes_it_fail_otherwise(detail: dict[str, Any]) -> None:
    """Whatever the members hold, an event is read or refused as bad input."""
    try:
        event = read({**REPORT, "detail": detail})
    except BadInput:
        return
    assert event is not None
    assert event.flow


def test_a_number_beyond_all_counts_shows_nothing() -> None:
    """Python refuses to read thousands of digits; the event counts all the same."""
    assert report(**{"num-of-record-failures": "9" * 5_000}).failed_records is None
