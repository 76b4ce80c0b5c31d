"""A table of a replication by its statistics, and the states that it can be in. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

UNEQUAL = frozenset({"Mismatched records", "Suspended records", "Table error", "Error"})
"""Validation states of a table that is not as its source."""


COMPLETED = "Table completed"


IN_ERROR = "Table error"


MISSING = "Table does not exist"


LOADING = frozenset({"Before load", "Full load"})
"""States of a table whose first load is not over. ("Table is being reloaded" is past it.)"""


SET_ASIDE = frozenset({IN_ERROR, "Table cancelled", "Table canceled", "Table suspended", MISSING})
"""States of a table that is not replicated, while the rest goes on."""


@dataclass(frozen=True, slots=True, order=True)
class Table:
    """One table by its statistics.

    Attributes:
        schema, name: as the source spells them.
        state: "Table completed", "Full load", "Before load", "Table error" ...
        rows: rows of the full load so far.
        changes: inserts, updates, deletes and schema changes replicated since.
        validation: "Validated", "Mismatched records" ...; "" or "Not enabled" where it is not validated.
        mismatched: rows that validation found unequal, or could not compare.
        load_began, load_ended: when its last load began and ended; either may be unknown.
    """

    schema: str
    name: str
    state: str
    rows: int = 0
    changes: int = 0
    load_began: datetime | None = field(default=None, compare=False)
    load_ended: datetime | None = field(default=None, compare=False)
    validation: str = field(default="", compare=False)
    mismatched: int = field(default=0, compare=False)

    @property
    def label(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"
