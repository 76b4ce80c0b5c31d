"""Publishing the numbers of one run, once, whatever happens to a request."""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.errors import Conflict, OutcomeUnknown, RepriseError
from recovery.ledger import Ledger
from recovery.metrics.admission import Admitted, admit, fold
from recovery.metrics.gateway import MetricsGateway, batches
from recovery.metrics.series import Datum, series
from recovery.records import Record
from recovery.report import RecoveryReport

KEEP = timedelta(days=400)
_ROUNDS = 3


class Metrics:
    """Publication of a run's numbers.

    Args:
        gateway: publishes.
        ledger: keeps the list of kinds and sources that have series of their own.
    """

    def __init__(self, gateway: MetricsGateway, ledger: Ledger) -> None:
        self._gateway = gateway
        self._ledger = ledger

    def publication(self, report: RecoveryReport, now: datetime, *, swept: bool) -> Publication:
        """The numbers of a run, to be sent."""
        return Publication(self._gateway, self._ledger, report, now, swept=swept)


class Publication:
    """The numbers of one run. `send` may be called again after an error: nothing is counted twice."""

    def __init__(
        self, gateway: MetricsGateway, ledger: Ledger, report: RecoveryReport, now: datetime, *, swept: bool
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._now = now
        self._data: list[Datum] = series(report, swept=swept)
        self._left: list[list[Datum]] | None = None

    def __repr__(self) -> str:
        return f"<{len(self._data)} numbers>"

    def send(self) -> None:
        """Publish what was not published yet.

        Raises:
            Transient: certainly nothing of the rest was taken; sending again is safe.
            OutcomeUnknown: the answer was not read; that part is not repeated by another `send`.
            Refused: CloudWatch does not take it.
        """
        if self._left is None:
            self._left = list(batches(fold(self._data, self._admitted())))
        while self._left:
            try:
                self._gateway.put(self._left[0], self._now)
            except OutcomeUnknown:
                del self._left[0]
                raise
            del self._left[0]

    def _admitted(self) -> Admitted:
        """Return the holders of their own series. A ledger that cannot be asked costs the detail, not the numbers."""
        if not any(datum.dimension for datum in self._data):
            return {}
        known: Admitted = {}
        try:
            for _ in range(_ROUNDS):
                record = self._ledger.read_record("metrics", "series")
                known = dict(record.data.get("admitted", {}))
                listed = admit(known, self._data, self._now.date())
                if listed == known:
                    return known
                try:
                    written = Record(record.pk, record.sk, {"admitted": listed}, record.version)
                    self._ledger.write_record(written, self._now + KEEP)
                except Conflict:
                    continue  # another run let others in: there may be less room
                return listed
        except RepriseError:
            return known
        return known
