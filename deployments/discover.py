"""`reprise discover`: every dead-letter queue of the account, where its evidence is, and what is wrong with it."""

from __future__ import annotations

import json
import sys

from recovery.errors import RepriseError


def main(*queues: str, estate: str = "", request: bool = False) -> int:
    """List dead-letter queues with their sources, consumers, logs, alarms and faults. Nothing in AWS is changed.

    Args:
        queues: names or globs of dead-letter queues; all of the account and region unless named.
        estate: name of a Recovery Estate block; the default one when empty.
        request: print only the request to paste into the form of dead-letters/by-hand.

    Returns:
        The exit status: 1 when a queue has a fault or no evidence.
    """
    from deployments.person import connect
    from recovery.discover.pages import request_of, text
    from recovery.discover.survey import survey
    from tasks.discover import office_on

    try:
        found = survey(office_on(connect(estate)), queues or ("*",))
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(request_of(found), indent=2) if request else text(found))
    return int(any(row.faults or not row.found for row in found.rows))
