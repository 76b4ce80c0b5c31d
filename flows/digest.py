"""The day in one page: what failed, what came back, how long it took, and what waits for a person.

from flows.digest import tell_day
tell_day(DigestRequest(day="2026-03-04"))
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
def tell_day(
    request: DigestRequest = DigestRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Digest | State[Digest]:
    """Make the digest of a day, with the week before to compare with, and tell the alert topic.

    Args:
        request: which day. Dry by default: the topic is not told.

    Returns:
        The digest; a failed state with one clear line when it could not be made or told.
    """
    try:
        desk = do.at_desk(request.estate)
        told = do.read_days(desk, request)
        do.show(desk, told)
        if not request.dry_run and (request.quiet_days or not told.is_quiet):
            do.tell(desk, told)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return told
