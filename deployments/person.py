"""The person who types a command: their name, their AWS identity, and what they typed as a request."""

from __future__ import annotations

from datetime import UTC, datetime
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from recovery.errors import BadInput

if TYPE_CHECKING:
    from blocks.connection import Connection

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
"""Names behind one option: `--group a b`, or the option twice."""


def connect(estate: str) -> Connection:
    """Return the connection of an estate; the default one when empty.

    Where no server is named there are no saved blocks either: Prefect would start a server of its own to look for one.
    """
    from prefect.settings import get_current_settings

    from blocks import estate as estates

    if not estate and not get_current_settings().api.url:
        return estates.connect_from_environment()
    return estates.connect(estate or None)


def who(connection: Connection, operator: str, reason: str) -> dict[str, str]:
    """Return the person's name, their grounds, and the AWS identity under which they act."""
    return {"operator": operator or getuser(), "reason": reason, "identity": connection.identity()}


def valid(model: Any, **given: Any) -> Any:
    """Return a request from what was typed.

    Raises:
        BadInput: names the field.
    """
    try:
        return model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{field}: {first['msg'][:300]}") from None


def moment(text: str, field: str) -> datetime:
    """Return a time as it was typed; UTC unless it names a zone.

    Raises:
        BadInput: it is no time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{field}: {text!r} is no time; write it as 2026-05-01 or 2026-05-01T09:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
