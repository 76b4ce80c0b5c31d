"""The ledger's item of a circuit, read with care: a person may have edited it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recovery.dead_letters.circuit import Circuit
from recovery.fields import Fields
from recovery.ramp import Step


def from_json(name: str, data: Mapping[str, Any], version: int) -> Circuit:
    """Return the circuit that `Circuit.as_json` gave.

    Raises:
        ValueError: it is damaged; names the field and no value.
    """
    fields = Fields(data, "step", "round")
    numbers = fields.many("step")
    if len(numbers) != 4 or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("step")
    return Circuit(
        name=name,
        opened=fields.time("opened"),
        closed=fields.time("closed"),
        since=fields.time("since"),
        seen=fields.texts("seen"),
        came=fields.count("came"),
        stayed=fields.count("stayed"),
        round=fields.count("round"),
        step=Step(*numbers),
        failed=fields.count("failed"),
        due=fields.time("due"),
        until=fields.time("until"),
        kind=fields.text("kind"),
        error=fields.text("error"),
        untried=fields.flag("untried"),
        announced=data.get("announced") is not False,
        version=version,
    )
