"""The day book in the ledger: one record for each day and path, to which every run that found anything adds itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from recovery.digest.days import Day
from recovery.errors import Conflict, Transient
from recovery.ledger import Ledger
from recovery.records import Record
from recovery.report import RecoveryReport

KEEP = timedelta(days=60)
_ROUNDS = 5


class DayBook:
    """Reads and writes days.

    Args:
        ledger: of the estate.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, report: RecoveryReport, run: str, now: datetime) -> None:
        """Add a run to its day; adding it again changes nothing. One read and one write.

        Args:
            report: of a run that was no dry run.
            run: an id that no other run has.
            now: the time, aware, by AWS's clock.

        Raises:
            Transient, Refused: it was not added.
        """
        for _ in range(_ROUNDS):
            record = self._ledger.read_record(_pk(now.date()), report.path)
            before = _day(record, report.path, now.date())
            after = before.with_run(report, run)
            if after == before:
                return
            data = after.model_dump(mode="json", exclude={"path", "day"})
            try:
                self._ledger.write_record(Record(record.pk, record.sk, data, record.version), now + KEEP)
            except Conflict:
                continue  # another run of the path has just added itself
            return
        raise Transient("the day book was written by others again and again")

    def read(self, day: date) -> list[Day]:
        """Return the paths' work of a day; paths of which nothing was written are missing.

        Raises:
            Transient, Refused: it could not be read.
        """
        return [_day(record, record.sk, day) for record in self._ledger.query(_pk(day))]


def _pk(day: date) -> str:
    return f"day#{day.isoformat()}"


def _day(record: Record, path: str, day: date) -> Day:
    return Day.model_validate({**record.data, "path": path, "day": day})
