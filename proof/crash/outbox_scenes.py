"""Outbox rows: each is in its table until it arrived, arrives at the subscriber, and says so on the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from blocks.connection import Connection
from proof.crash.process import Kill
from proof.crash.scene import Findings, empty, is_open
from recovery.outbox_records.policy import Mode
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, TABLE, OutboxWorld, play

ROWS = 12
"""Two batches of messages."""


def problems(report: RecoveryReport) -> list[str]:
    """Return a run's own complaints."""
    return [*report.problems, *(row.reason for row in report.groups)] if report.failed else []


class Outbox:
    """Twelve rows that are due and one that SNS would never take."""

    mode = Mode.DELIVER

    def __init__(self, aws: SimulatedAws, *, fifo: bool = False) -> None:
        self.name = f"outbox, {'FIFO' if fifo else 'standard'}"
        self.declared = "none within 5 minutes" if fifo else "a publish that was not marked: one more copy"
        self.fifo = fifo
        aws.create_estate()
        self.world = OutboxWorld(aws, ordered=fifo)
        # On a FIFO topic all runs take place within the five minutes of its deduplication.
        self.policy = NO_PAUSE.model_copy(update={"lease_seconds": 90 if fifo else 300})
        self._stages = self._alerted = 0
        self.prefix = ""
        self.rows: list[str] = []

    def stage(self) -> None:
        self._clear()
        self.prefix = f"{self._stages}-"
        self.rows = [f"{self.prefix}{n:02}" for n in range(ROWS)]
        for n, identity in enumerate(self.rows):
            self.put(n, identity)
        bad = f"{self.prefix}bad"
        if self.fifo:
            self.world.ordered_row(bad, bad, 1, message="x" * 300_000)
        else:
            self.world.pending(bad, "")

    def _clear(self) -> None:
        self._stages += 1
        empty(self.world.aws, TABLE)
        empty(self.world.aws, self.world.aws.environment["REPRISE_LEDGER_TABLE"])
        self._alerted = len(self.world.alerts())

    def put(self, n: int, identity: str) -> None:
        """Write a row as the service does."""
        if self.fifo:
            self.world.ordered_row(identity, f"{self.prefix}group-{n % 4}", n, shard=n % 2)
        else:
            self.world.pending(identity, identity, shard=n % 2)

    def run(self, connection: Connection) -> list[str]:
        return self.played(connection, self.mode)

    def played(self, connection: Connection, mode: Mode) -> list[str]:
        """A run of the path in this mode."""
        world = self.world
        # The row that SNS never takes ends as a problem of the run, which is right.
        play(world.work(connection, threads=1, shards=2, mode=mode, policy=self.policy))
        return []

    def later(self) -> None:
        self.world.aws.clock.advance(100 if self.fifo else 400)

    def delivered(self) -> list[str]:
        """Return the subscriber's texts of this stage, in the order of arrival."""
        return [text for text in self.world.delivered_texts() if text.startswith(self.prefix)]

    def is_safe(self) -> Findings:
        rows = self.world.rows()
        found, arrived = Findings(), set(self.delivered())
        found.lost = [each for each in self.rows if each not in rows and each not in arrived]
        finished = [each for each in self.rows if rows.get(each, {}).get("status") == "Successful"]
        found.lost += [f"{each}, which says that it was sent" for each in finished if each not in arrived]
        return found

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        marks = self.marks(operations)
        # A publish is open until it is marked: its call may be the last that was carried out.
        open_publish = kill is not None and "PublishBatch" in operations and not marks
        found.copies(self.delivered(), self.rows, 2 if open_publish and not self.fifo else 1)
        rows = self.world.rows()
        if self.fifo:
            self._in_order(found)
        for identity in self.rows:
            row = rows.get(identity, {})
            found.expect(row.get("status") == "Successful", f"{identity}: {row.get('status')}")
            found.expect("outbox_line" not in row, f"{identity} still stands in line")
            attempts = int(row.get("outbox_attempts", 0))
            found.expect(1 <= attempts <= 1 + (kill is not None), f"{identity}: {attempts} attempts")
        ids = {envelope["MessageId"] for envelope in self.world.delivered()}
        unknown = [each for each in self.rows if not self.fifo and rows[each].get("outbox_message_id") not in ids]
        found.expect(not unknown, f"rows whose message id nobody got: {unknown}")
        bad = rows.get(f"{self.prefix}bad", {})
        found.expect(bad.get("status") == "Exhausted", f"the row that SNS never takes: {bad.get('status')}")
        alerts, open_alert = len(self.world.alerts()) - self._alerted, is_open(kill, operations, "Publish", "PutItem")
        found.expect(1 <= alerts <= 1 + open_alert, f"{alerts} alerts for one group")
        return found

    def after_trouble(self) -> Findings:
        """Each row arrived and says so; a copy more for each publish whose answer was lost."""
        found, rows = Findings(), self.world.rows()
        arrived = Counter(self.delivered())
        found.lost = sorted(set(self.rows) - set(arrived))
        found.doubled = Counter({each: count for each, count in arrived.items() if count > 1})
        for identity in self.rows:
            row = rows.get(identity, {})
            attempts = int(row.get("outbox_attempts", 0))
            found.expect(row.get("status") == "Successful", f"{identity}: {row.get('status')}, {row}")
            if arrived[identity] > attempts:
                found.excess.append(f"{identity}: {arrived[identity]} times in {attempts} attempts")
        if self.fifo:
            self._in_order(found)
        bad = rows.get(f"{self.prefix}bad", {})
        found.expect(bad.get("status") == "Exhausted", f"the row that SNS never takes: {bad.get('status')}")
        return found

    def marks(self, operations: Sequence[str]) -> bool:
        """True when every publish of the killed run was marked; one call after a round's publishes makes the marks."""
        if "PublishBatch" not in operations:
            return True
        last = len(operations) - 1 - list(reversed(operations)).index("PublishBatch")
        return "BatchExecuteStatement" in operations[last:]

    def _in_order(self, found: Findings) -> None:
        for group in range(4):
            wanted = [each for n, each in enumerate(self.rows) if n % 4 == group]
            got = [each for each in self.delivered() if each in wanted]
            found.expect(list(dict.fromkeys(got)) == wanted, f"group {group} out of order: {got}")


class Lost(Outbox):
    """Rows that nobody put in line: a search puts them there, and the next delivery sends them once."""

    mode = Mode.FIND_LOST

    def __init__(self, aws: SimulatedAws) -> None:
        super().__init__(aws)
        self.name, self.declared = "outbox, find lost", "none"

    def stage(self) -> None:
        self._clear()
        self.prefix = f"{self._stages}-"
        self.rows = [f"{self.prefix}{n:02}" for n in range(ROWS)]
        for identity in self.rows:
            self.world.put({"id": identity, "message": identity, "created_at": 1_700_000_000})

    def run(self, connection: Connection) -> list[str]:
        return self.played(connection, Mode.FIND_LOST)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        for identity, row in self.world.rows().items():
            if identity in self.rows:
                found.expect(row.get("status") == "Pending", f"{identity}: {row.get('status')}")
                found.expect(row.get("outbox_line", "").startswith("Unfinished#"), f"{identity} is not in line")
                found.expect(float(row.get("outbox_next_attempt", 1e12)) < 1e11, f"{identity} is not due")
        return found
