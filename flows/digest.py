"""The day in one page: failures, recoveries, the time they took, and cases that wait for a person.

from flows.digest import report_day
report_day(DigestRequest(day="2026-03-04"))
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery.digest.digest import Digest
from recovery.digest.request import DigestRequest
from recovery.errors import RepriseError
from tasks import digest as do


@flow(name="digest", flow_run_name="digest", persist_result=False)
def report_day(
    request: DigestRequest = DigestRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Digest | State[Digest]:
    """Make the digest of a day, with the week before to compare with, and publish it to the alert topic.

    Args:
        request: the day. Dry by default: nothing is published.

    Returns:
        The digest; a failed state with one clear line when it could not be made or published.
    """
    try:
        desk = do.at_desk(request.estate)
        digest = do.read_days(desk, request)
        do.show(desk, digest, request)
        if not request.dry_run and (request.quiet_days or not digest.is_quiet):
            do.publish(desk, digest)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return digest
