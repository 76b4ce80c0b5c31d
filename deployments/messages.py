"""`reprise messages`: look at archived messages, under the rights of the person who types it, never through Prefect.

The ledger keeps the name, the AWS identity and the level of every look, before anything is shown.
"""

from __future__ import annotations

import sys

from deployments.person import Names, connect, who
from recovery.errors import BadInput

HELP = "Look at archived messages under your own AWS rights."
COMMANDS = {
    "show": ("deployments.messages:show", "Show one archived message."),
    "list": ("deployments.messages:list_messages", "List archived messages, one a line."),
}


def show(
    message_id: str,
    *,
    body: str = "masked",
    value: Names = (),
    reason: str = "",
    operator: str = "",
    estate: str = "",
) -> int:
    """Show an archived message: headers, attributes, history, and its body at a level.

    Args:
        message_id: any id that it ever had.
        body: none, masked (structure and types), or full.
        value: JSON Pointers whose values are shown where others are hidden, as /order/id.
        reason: the grounds; needed for a full look.
        operator: your name; the name of your login when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.audit import Act, Audit
    from recovery.dead_letters.shown import Level, plain, shown
    from recovery.histories.requests import CaseRequest
    from recovery.paths import Path
    from tasks.cases import histories_of

    if body not in set(Level):
        raise BadInput(f"body: {body!r} is none of {', '.join(Level)}")
    level = Level(body)
    if level is Level.FULL and not reason.strip():
        raise BadInput("reason: a full look needs a reason; it stands in the ledger")
    connection = connect(estate)
    histories = histories_of(connection)
    [story] = histories.describe(CaseRequest(key=message_id, path=Path.DEAD_LETTERS))
    records = histories.copies(message_id)
    if not records:
        raise BadInput(f"message_id: the archive holds no copy of {message_id}: {story.meaning}")
    person = who(connection, operator, reason or "a look")
    values = f", values {' '.join(value)}" if value else ""
    Audit(connection.ledger).write(
        Act(
            histories.now(),
            person["operator"],
            "show",
            person["reason"],
            f"message {message_id}, body {level.value}{values}",
            1,
            person["identity"],
        )
    )
    address, record = records[-1]
    print(shown(record, level, value))
    print("")
    for moment in story.moments:
        at = f"{moment.at:%Y-%m-%d %H:%M:%S} " if moment.at else ""
        print(plain(f"{at}{moment.what}"))
    print(f"copy at {address}")
    for warning in histories.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def list_messages(*, source: Names = (), group: Names = (), kind: Names = (), text: str = "", estate: str = "") -> int:
    """List archived messages that wait for a person, one a line: never their bodies.

    Args:
        source, group, kind: only these.
        text: only those with this text in their normalised error or reason.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from deployments.cases import list_cases

    return list_cases(path=("dead_letters",), source=source, group=group, kind=kind, text=text, estate=estate)
