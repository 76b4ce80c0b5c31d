"""The run's way to Prefect's events: over HTTP, since that alone answers that an event was taken."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import runtime
from prefect.exceptions import PrefectHTTPStatusError

from recovery.errors import BadInput
from recovery.events.outward import Outward, of_report
from recovery.outgoing import Outgoing, Post
from recovery.report import RecoveryReport
from recovery.run import RecoveryRun
from tasks.brief_client import brief_client
from tasks.policies import ONCE
from tasks.steps import inform, step

_REJECTED = frozenset({400, 413, 422})


def outgoing(work: RecoveryRun) -> Outgoing:
    """Return the way out for a run's events; a dry run, and one that no server knows, emits none."""
    post: Post | None = _post if runtime.flow_run.id and not work.dry_run else None
    return Outgoing(work.ledger, post, work.now)


def publish_events(work: RecoveryRun, report: RecoveryReport) -> None:
    """Post the events that the report names, and what earlier runs could not post; only a warning where it fails."""
    if report.requests and not report.dry_run and runtime.flow_run.id:
        inform("events of this run may be missing from the feed", _publish_events, work, report)


def _emit(work: RecoveryRun, report: RecoveryReport) -> None:
    work.outgoing.emit([*work.events, *of_report(report)])
    work.outgoing.flush()


def announce(work: RecoveryRun, events: Sequence[Outward]) -> None:
    """Post events of a flow that has no report of its own; only a warning where it fails."""
    if runtime.flow_run.id:
        work.outgoing = Outgoing(work.ledger, _post, work.now)
        inform("an event of this run may be missing from the feed", _announce, work, events)


def _emit_only(work: RecoveryRun, events: Sequence[Outward]) -> None:
    work.outgoing.emit(events)


_announce = step(_emit_only, "publish events", "published the events", ONCE)
_publish_events = step(_emit, "publish events", "published the events", ONCE)


def _post(events: Sequence[Outward]) -> None:
    """Post events.

    Raises:
        BadInput: the server refuses one of them for good.
        httpx.HTTPError, PrefectHTTPStatusError: it is away.
    """
    with brief_client() as client:
        try:
            client.request("POST", "/events", json=[event.as_event() for event in events])
        except PrefectHTTPStatusError as error:
            if error.response.status_code in _REJECTED:
                raise BadInput(f"events: the Prefect server refuses them: {error.response.status_code}") from None
            raise
