"""Reading what the ledger remembers of flows: a damaged case is the trouble of its flow, not of all."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH
from recovery.appflow_runs.verdicts import Escalate
from recovery.appflow_runs.work import Item, Work
from recovery.cases import Case, case_key
from recovery.errors import BadInput

DAMAGED = "damaged case"
"""The code of the failure of a flow whose case cannot be read."""
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What reading a damaged case of the ledger raises."""

Remembered = dict[str, tuple[Case, Memory]]


def remembered(work: Work, names: Sequence[str]) -> tuple[Remembered, set[str]]:
    """Cases with what they remember, by flow; and the flows whose cases cannot be read.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    try:
        cases = work.ledger.read_cases(PATH, names)
        return {name: (case, Memory.from_json(case.detail)) for name, case in cases.items()}, set()
    except _DAMAGE:
        if len(names) == 1:
            return {}, set(names)
    middle = len(names) // 2
    (found, damaged), (more, more_damaged) = remembered(work, names[:middle]), remembered(work, names[middle:])
    return found | more, damaged | more_damaged


def set_aside(work: Work, item: Item) -> None:
    """Leave a flow alone whose case is damaged: nothing is started, and nothing is ever written over the case."""
    item.failure = BadInput(f"flow {item.name}: the ledger's case of it is damaged", code=DAMAGED)
    item.verdict = Escalate(
        DAMAGED,
        "what was done about it before is not known, so nothing is done",
        f"look at it in AppFlow, then delete the item with pk {case_key(PATH, item.name)!r} and sk 'case' from the"
        f" table {work.ledger.table!r}: the next run begins anew with it, and its attempts count anew",
    )
