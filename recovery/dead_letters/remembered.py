"""Reading what the ledger remembers of messages: a damaged case is the trouble of its message, not of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from recovery.cases import Case, DamagedCase, State, sound
from recovery.dead_letters.work import PATH
from recovery.failures import is_kind
from recovery.fields import Fields
from recovery.ledger import Ledger

SHOWN = 5
_TEXTS = ("id", "arn", "identity", "content", "next", "origin", "owner", "error", "step", "probe", "circuit")


def remembered(ledger: Ledger, keys: Iterable[str], damaged: list[DamagedCase]) -> dict[str, Case]:
    """The cases of messages, by key; `damaged` takes those that cannot be read.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    cases = ledger.read_cases(PATH, keys, damaged=damaged).values()
    return {case.key: case for case in sound(cases, check, damaged)}


def waiting(
    ledger: Ledger, group: str, damaged: list[DamagedCase], in_scope: Callable[[str], bool] | None = None
) -> Iterator[Case]:
    """The cases of messages (of a group) that wait for a person; `damaged` takes those that cannot be read.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    return sound(ledger.waiting(PATH, group, damaged=damaged, in_scope=in_scope), check, damaged)


def check(case: Case) -> None:
    """Refuse a case that is not as this path writes it.

    Raises:
        ValueError: names the field and no value.
    """
    if case.kind and not is_kind(case.kind):
        raise ValueError("kind")
    read = Fields(case.detail)
    for name in _TEXTS:
        read.text(name)
    read.texts("earlier")
    read.flag("alert")
    read.count("tries")
    lease = read.time("lease")
    if "archive" in case.detail:
        pointer = Fields(case.detail["archive"], "key", "line")
        pointer.text("key")
        pointer.count("line")
    if case.state is State.REPLAYING and lease is None:
        raise ValueError("lease is missing")


def describe_damaged(damaged: Iterable[DamagedCase], table: str) -> str:
    """Damaged cases in one line of a report, with what to do about them."""
    cases = list(damaged)
    shown = ", ".join(f"{case.key} ({case.damage})" for case in cases[:SHOWN])
    more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
    return (
        f"{len(cases)} damaged case(s) in the ledger: {shown}{more}. Put right {cases[0].place(table)}"
        + (", and so on" if len(cases) > 1 else "")
        + ". A copy in the archive is found through its case: do not delete it"
    )
