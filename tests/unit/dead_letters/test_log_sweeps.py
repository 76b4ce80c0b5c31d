"""Logs that are searched once: sweeps over a backlog of messages without a line in any log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from recovery.consumers.models import Consumer, Function, Load
from recovery.dead_letters import triage
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.search_times import Source
from recovery.dead_letters.work import Work
from recovery.ledger_writes import LedgerWrite
from recovery.logs import LogAllowance, Logs
from recovery.records import Record, from_record_item
from tests.unit.dead_letters.samples import NOW, SOURCE_ARN, SOURCE_URL, message, queue

BACKLOG = 10_000
ROUND = 2_000
NAMED = DeadLetterPolicy(log_group="/shop/consumer")
FOUND = DeadLetterPolicy(find_consumer=True)
FUNCTION = Function("orders", "/aws/lambda/orders", timeout_seconds=10)
CONSUMER = Consumer("arn:aws:lambda:eu-west-1:123456789012:function:orders", function=FUNCTION)


class QuietLog:
    """A log group that holds no line, and counts what it is asked."""

    def __init__(self) -> None:
        self.requests = 0

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        self.requests += 1
        return {"events": []}

    def start_query(self, **_: Any) -> dict[str, Any]:
        self.requests += 1
        return {"queryId": "q"}

    def get_query_results(self, **_: Any) -> dict[str, Any]:
        self.requests += 1
        return {"status": "Complete", "results": [], "statistics": {"bytesScanned": 0.0}}


class RecordsOnly:
    """As much of the ledger as the memory of searches needs; counts what is written."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes = 0

    def query(self, pk: str, *, damaged: list[Any] | None = None) -> Iterator[Record]:
        del damaged
        for key in sorted(self.items):
            if key[0] == pk:
                yield from_record_item(self.items[key])

    def write_items(self, writes: Sequence[LedgerWrite]) -> None:
        for write in writes:
            item = cast("dict[str, Any]", write)["PutRequest"]["Item"]
            self.items[item["pk"]["S"], item["sk"]["S"]] = item
            self.writes += 1


def sweep(
    log: QuietLog, ledger: RecordsOnly, now: datetime, policy: DeadLetterPolicy, backlog: int = BACKLOG
) -> tuple[LogAllowance, list[str], list[str]]:
    """One run over the whole backlog, in its rounds; what it spent, the reasons for its messages, and its warnings."""
    allowance = LogAllowance()
    run = SimpleNamespace(
        seconds=0.0,
        places={},
        searches={},
        loads={},
        silent={},
        warnings=[],
        consumers=SimpleNamespace(of_queue=lambda _: [CONSUMER], load=lambda *_: Load({}, {})),
        dry_run=False,
        ledger=ledger,
        log_allowance=allowance,
        logs=Logs(cast("Any", log), monotonic=lambda: 0.0, sleep=lambda _: None),
        sqs=SimpleNamespace(source=lambda _: Source(visibility_seconds=30, max_receives=3)),
        now=lambda: now,
    )
    reasons: list[str] = []
    for start in range(0, backlog, ROUND):
        messages = []
        for number in range(start, start + ROUND):
            sent = NOW - timedelta(seconds=3 * number)
            first = str(int(sent.timestamp() * 1000))
            system = {"SentTimestamp": first, "ApproximateFirstReceiveTimestamp": first}
            messages.append(message(message_id=str(UUID(int=number + 1)), system=system))
        batch = Batch(queue(sources={SOURCE_ARN: SOURCE_URL}), policy, messages)
        triage.diagnose_messages(cast("Work", run), batch)
        reasons += [item.pending or item.searched for item in batch.items]
    return allowance, reasons, run.warnings


def test_a_backlog_without_a_log_line_is_searched_once() -> None:
    """Three sweeps in a row over 10,000 messages of a function: the first asks for each window, the others for none."""
    log, ledger = QuietLog(), RecordsOnly()
    spent = []
    for number in range(3):
        allowance, reasons, warnings = sweep(log, ledger, NOW + timedelta(hours=1, minutes=5 * number), FOUND)
        spent.append((allowance.requests, round(allowance.seconds)))
        assert not warnings
        assert all(words.startswith("no line of log group /aws/lambda/orders names it") for words in reasons)
    assert 0 < spent[0][0] <= 200
    assert spent[0][1] <= 40 * 3600
    assert spent[1:] == [(0, 0), (0, 0)]
    assert log.requests == spent[0][0]
    assert ledger.writes <= 64 * (BACKLOG // ROUND)


def test_a_backlog_beyond_the_allowance_is_searched_on_and_never_again() -> None:
    """Lines of an unknown consumer are looked for hours behind each message: that takes more than one run may scan."""
    log, ledger = QuietLog(), RecordsOnly()
    allowances = []
    for number in range(12):
        allowance, reasons, _ = sweep(log, ledger, NOW + timedelta(hours=12, minutes=5 * number), NAMED, ROUND)
        allowances.append(allowance)
        assert allowance.requests <= allowance.most_requests
        assert allowance.seconds <= allowance.most_seconds
        if not allowance.requests:
            break
    assert len(allowances) > 2
    assert allowances[0].refused
    assert allowances[-1].requests == 0
    assert all(words.startswith("no line of log group /shop/consumer names it") for words in reasons)
