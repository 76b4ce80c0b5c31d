"""EventBridge events of AppFlow: what is read from them, for people and for triggers. Pure.

Shapes, from recorded events and the user guide (flow notifications): keys of the detail are in kebab case, numbers are
strings, times end in `Z[UTC]`, and `resources` hold a hash instead of an ARN, so that only the detail names the flow.
The one status text known from real events is "Execution Successful": any other text in an end report is a failure,
except that somebody cancelled the run. The report that an event-triggered flow makes every five minutes counts events,
and is a failure only where it says so.
Events are hints: a run may end without one, and nothing is decided from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.errors import BadInput
from recovery.times import from_event

SOURCE = "aws.appflow"
TWIN_PREFIX = "reprise-twin-"

START = "AppFlow Start Flow Run Report"
END = "AppFlow End Flow Run Report"
EVENT_REPORT = "AppFlow Event Flow Report"
DEACTIVATIONS = frozenset({"AppFlow Event Flow Deactivated", "AppFlow Scheduled Flow Deactivated"})
_RUN_REPORTS = frozenset({START, END, EVENT_REPORT})
_SUCCESS = "execution successful"
_NO_FAILURE = re.compile(r"(?i)success|cancel|in ?progress|started|running|active\b")
_CANCELLED = re.compile(r"(?i)cancel")
_PARTIAL = re.compile(r"(?i)partial|fail|error|unsuccess|inactive|deactivat")


@dataclass(frozen=True, slots=True)
class AppFlowEvent:
    """One event.

    Attributes:
        id: AWS's id of the event.
        detail_type: as AWS spells it.
        flow: the flow's name.
        flow_arn: as the detail gives it (events of 2021 had account and region swapped), "" if absent.
        account, region, time: of the envelope; `time` is aware.
        run: execution id, "" where there is none.
        status: the status text as it came, "" where there is none.
        trigger: "ONDEMAND", "SCHEDULED" ...
        started, ended: of the run, aware, or None.
        records, failed_records: counts, None where the detail has none.
        reason: the deactivation's reason or the error, "" where there is none. It may quote anything: normalise it
            before it goes out.
    """

    id: str
    detail_type: str
    flow: str
    flow_arn: str = ""
    account: str = ""
    region: str = ""
    time: datetime | None = None
    run: str = ""
    status: str = ""
    trigger: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    records: int | None = None
    failed_records: int | None = None
    reason: str = ""

    @property
    def is_twin(self) -> bool:
        """True for the event of a temporary twin, which concerns nobody."""
        return self.flow.startswith(TWIN_PREFIX)

    @property
    def is_deactivation(self) -> bool:
        """True when AppFlow switched the flow off."""
        return self.detail_type in DEACTIVATIONS

    @property
    def is_failure(self) -> bool:
        """True when it needs inspection: a run that is no plain success, failed records, or a deactivation."""
        if self.is_deactivation:
            return True
        if self.detail_type not in (END, EVENT_REPORT):
            return False
        if self.failed_records:
            return True
        if self.status.strip().lower() == _SUCCESS:
            return False
        if _PARTIAL.search(self.status):
            return True
        if self.detail_type == EVENT_REPORT:
            return bool(self.reason) or bool(self.status and not _NO_FAILURE.search(self.status))
        return not _CANCELLED.search(self.status)


def read(event: Mapping[str, Any]) -> AppFlowEvent | None:
    """Read an EventBridge event of AppFlow; None when it is another event.

    Raises:
        BadInput: it is one of AppFlow's run or deactivation events but names no flow, or its detail cannot be read.
    """
    detail_type = event.get("detail-type")
    if event.get("source") != SOURCE or detail_type not in _RUN_REPORTS | DEACTIVATIONS:
        return None
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadInput(f"detail: expected an object in an event of type {detail_type}")
    name = _text(detail, "flow-name") or _text(detail, "flow-arn").rpartition(":flow/")[2]
    if not name:
        raise BadInput(f"detail.flow-name: expected the name of a flow in an event of type {detail_type}")
    return AppFlowEvent(
        id=_text(event, "id"),
        detail_type=str(detail_type),
        flow=name,
        flow_arn=_text(detail, "flow-arn"),
        account=_text(event, "account"),
        region=_text(event, "region"),
        time=from_event(event.get("time")),
        run=_text(detail, "execution-id"),
        status=_text(detail, "status") or _text(detail, "status-report"),
        trigger=_text(detail, "trigger-type"),
        started=from_event(detail.get("start-time")),
        ended=from_event(detail.get("end-time")),
        records=_number(detail.get("num-of-records-processed")),
        failed_records=_number(detail.get("num-of-record-failures")),
        reason=_text(detail, "deactivation-reason") or _text(detail, "error"),
    )


_DIGITS = 40
"""No count of records has so many; Python itself refuses to read thousands."""


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    # Numbers come as strings; any other text counts as no number.
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _DIGITS
    return int(str(value)) if is_number else None
