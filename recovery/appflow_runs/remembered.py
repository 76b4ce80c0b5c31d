"""Reading what the ledger remembers of flows: a damaged case is the trouble of its flow, not of all."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH
from recovery.appflow_runs.rules.met import damaged
from recovery.appflow_runs.work import AppFlowRun, FlowWork
from recovery.cases import Case, DamagedCase
from recovery.errors import BadInput

DAMAGED = "damaged case"
"""The code of the failure of a flow whose case cannot be read."""

Remembered = dict[str, tuple[Case, Memory]]


def remembered(work: AppFlowRun, names: Sequence[str]) -> tuple[Remembered, dict[str, DamagedCase]]:
    """Cases with what they remember, by flow; and those that cannot be read, by flow.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    unread: list[DamagedCase] = []
    found: Remembered = {}
    for name, case in work.ledger.read_cases(PATH, names, damaged=unread).items():
        try:
            found[name] = (case, Memory.from_json(case.detail))
        except ValueError as error:
            unread.append(DamagedCase(PATH, name, str(error)))
    return found, {case.key: case for case in unread}


def set_aside(work: AppFlowRun, item: FlowWork, case: DamagedCase) -> None:
    """Leave a flow alone whose case is damaged: nothing is started, and nothing is ever written over the case."""
    item.failure = BadInput(f"flow {item.name}: the ledger's case of it is damaged ({case.damage})", code=DAMAGED)
    item.verdict = damaged(item.name, case.place(work.ledger.table))
