"""The estate block "default": saved from the REPRISE_* variables when they are set, else left as a person saved it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from blocks import RecoveryEstate
from blocks.connection import Connection
from deployments.apply.differences import Change, changed
from deployments.bootstrap import ESTATE, estate_of, save_blocks
from recovery.errors import BadInput, RepriseError


def saved() -> RecoveryEstate | None:
    """The saved block, or None."""
    try:
        return cast(RecoveryEstate, RecoveryEstate.load(ESTATE))
    except ValueError:
        return None


def changes(environment: Mapping[str, str]) -> list[Change]:
    """What the variables name and the block does not. Credentials in the block are a person's, and are not compared."""
    wanted = estate_of(environment)
    if wanted is None:
        return []
    there = saved()
    return changed("estate block", ESTATE, _content(wanted), _content(there) if there else None)


def make(environment: Mapping[str, str]) -> None:
    """Save what the variables name; credentials that a person has put into the block stay."""
    wanted, there = estate_of(environment), saved()
    assert wanted is not None  # else there was nothing to change
    if there is None or _endpoint(wanted):
        save_blocks(environment)
        return
    kept = there.model_copy(
        update={name: getattr(wanted, name) for name in type(wanted).model_fields if name != "aws_credentials"}
    )
    kept.save(ESTATE, overwrite=True)


def notes(environment: Mapping[str, str]) -> list[str]:
    """What to do when nothing names an estate."""
    if estate_of(environment) is None and saved() is None:
        return [
            f"no estate block {ESTATE!r}: set REPRISE_LEDGER_TABLE, REPRISE_ARCHIVE_BUCKET and REPRISE_ALERT_TOPIC_ARN "
            "(outputs of the estate's stack) and apply again, or give each worker these variables"
        ]
    return []


def connection(environment: Mapping[str, str]) -> Connection | None:
    """A connection to the estate that a run would have, or None when nothing names one.

    Raises:
        BadInput: no region or credentials are configured here.
    """
    estate = saved() or estate_of(environment)
    if estate is None:
        return None
    try:
        return estate.connect()
    except RepriseError as error:
        raise BadInput(f"estate {ESTATE!r}: {error}") from error


def _content(estate: RecoveryEstate) -> dict[str, object]:
    names = [name for name in type(estate).model_fields if name != "aws_credentials"]
    content: dict[str, object] = {name: getattr(estate, name) for name in names}
    if endpoint := _endpoint(estate):
        content["endpoint of the simulated AWS"] = endpoint
    return content


def _endpoint(estate: RecoveryEstate) -> str | None:
    return estate.aws_credentials.aws_client_parameters.endpoint_url
