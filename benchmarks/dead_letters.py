"""Dead letters healed per second and what each costs, beside the usual loop and a bare mover on the same machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import IO, Any

from rich.table import Table

from benchmarks import far_aws
from benchmarks.traffic import WriteUnits, environment, fill, peak_mib
from benchmarks.ways import REQUEST, Way, bare_mover, drain, one_by_one, plain, stopwatch, with_prefect
from blocks.estate import connect_from_environment
from simulated_aws.server import SimulatedAws
from tasks.dead_letters import open_run

MESSAGES = 4_000
FAR_MESSAGES = 10_000
LATENCY = 0.015
PROCESSES = (1, 2, 4)
PASSES = 2
"""Each way is measured so often, in turns, and its best pass counts: others may use the machine at the same time."""


def run() -> Iterator[Table]:
    """Speed beside the baselines, near and far; several processes; memory."""
    for measured in (near, far, processes, memory_table):
        yield measured()


def near() -> Table:
    """Against the simulated AWS, which shares this machine's processors."""
    from prefect.testing.utilities import prefect_test_harness

    units = WriteUnits()
    ways: list[tuple[str, Way, int]] = [
        ("one by one", one_by_one, MESSAGES // 4),
        ("bare mover, no records", bare_mover, MESSAGES),
        ("Reprise, plain steps", plain(units), MESSAGES),
        ("Reprise, as a flow", with_prefect, MESSAGES),
    ]

    def filled(aws: SimulatedAws, count: int) -> None:
        aws.reset()
        aws.create_estate()
        aws.create_sample_workload()
        fill(aws, count)

    with SimulatedAws.start() as aws, prefect_test_harness(server_startup_timeout=120):
        title = f"{MESSAGES:,} dead letters healed, simulated AWS on the same processors"
        return _compared(title, aws, ways, filled, units)


def far() -> Table:
    """Against an AWS that answers after 15 ms."""
    from prefect.testing.utilities import prefect_test_harness

    units = WriteUnits()
    ways: list[tuple[str, Way, int]] = [
        ("one by one", one_by_one, 100),
        ("bare mover, no records", bare_mover, FAR_MESSAGES),
        ("Reprise, plain steps", plain(units), FAR_MESSAGES),
        ("Reprise, as a flow", with_prefect, FAR_MESSAGES),
    ]
    with far_aws.started(LATENCY) as aws, prefect_test_harness(server_startup_timeout=120):
        title = f"{FAR_MESSAGES:,} dead letters healed, an AWS {LATENCY * 1000:.0f} ms away"
        return _compared(title, aws, ways, far_aws.fill, units)


def _compared(
    title: str,
    aws: SimulatedAws,
    ways: Sequence[tuple[str, Way, int]],
    filled: Callable[[SimulatedAws, int], None],
    units: WriteUnits,
) -> Table:
    table = Table(title=title, caption=f"best of {PASSES} passes", title_justify="left")
    columns = (
        "messages/s",
        "x one by one",
        "x bare mover",
        "processor ms",
        "requests per 1,000",
        "write units per 1,000",
    )
    table.add_column("way")
    for column in (*columns, "time in AWS / diagnosis / rest"):
        table.add_column(column, justify="right")
    best: dict[str, tuple[float, list[str]]] = {}
    for _ in range(PASSES):
        for name, way, count in ways:
            filled(aws, count)
            units.total = 0
            watch: AbstractContextManager[Counter[str]]
            watch = stopwatch() if name.startswith("Reprise") else nullcontext(Counter())
            with environment(aws), watch as spent:
                go = way(aws)
                aws.clear_requests()
                spent.clear()
                used, began = time.process_time(), time.perf_counter()
                go()
                seconds, used = time.perf_counter() - began, time.process_time() - used
            assert not aws.messages("orders-dlq"), f"{name} left messages"
            requests = _by_service(aws.request_counts(), count)
            shares = "".join(f"{100 * spent[part] / seconds:.0f} % / " for part in ("AWS", "diagnosis") if spent)
            rest = f"{100 * (1 - sum(spent.values()) / seconds):.0f} %" if spent else ""
            result = [
                f"{1000 * used / count:.2f}",
                requests,
                f"{units.total * 1000 / count:,.0f}" if name.endswith("steps") else "",
                shares + rest,
            ]
            rate = count / seconds
            if name not in best or rate > best[name][0]:
                best[name] = rate, result
    slow, bare = (best[name][0] for name, _, _ in ways[:2])
    for name, (rate, result) in best.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / slow:.1f}", f"{rate / bare:.2f}", *result)
    return table


def _by_service(counts: dict[str, int], messages: int) -> str:
    totals: dict[str, int] = {}
    for operation, count in counts.items():
        service = operation.split(":")[0]
        totals[service] = totals.get(service, 0) + count
    each = ", ".join(f"{service} {count * 1000 / messages:,.0f}" for service, count in sorted(totals.items()))
    return f"{sum(totals.values()) * 1000 / messages:,.0f} ({each})"


def processes() -> Table:
    """One, two and four processes on one queue."""
    table = Table(
        title=f"{FAR_MESSAGES:,} dead letters, several processes on one queue, an AWS {LATENCY * 1000:.0f} ms away",
        caption="plain steps; from the word to go to the end of the last process",
        title_justify="left",
    )
    for column in ("processes", "messages/s", "x one process", "messages healed by each", "sent twice"):
        table.add_column(column, justify="right")
    alone = 0.0
    with far_aws.started(LATENCY) as aws:
        for count in PROCESSES:
            far_aws.fill(aws, FAR_MESSAGES)
            with ExitStack() as running:
                workers = [running.enter_context(_worker(aws)) for _ in range(count)]
                for worker in workers:
                    _read(worker.stdout)
                began = time.perf_counter()
                for worker in workers:
                    _go(worker)
                healed = [int(_read(worker.stdout)["healed"]) for worker in workers]
                rate = FAR_MESSAGES / (time.perf_counter() - began)
            assert not aws.messages("orders-dlq"), "messages were left"
            twice = len(aws.messages("orders")) - FAR_MESSAGES
            alone = alone or rate
            shares = ", ".join(f"{each:,}" for each in sorted(healed, reverse=True))
            table.add_row(str(count), f"{rate:,.0f}", f"{rate / alone:.2f}", shares, str(twice))
    return table


@contextmanager
def _worker(aws: SimulatedAws) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.dead_letters"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=aws.environ()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def _read(output: IO[str] | None) -> dict[str, Any]:
    assert output is not None
    result: dict[str, Any] = json.loads(output.readline())
    return result


def memory_table() -> Table:
    """Peak memory by the number of messages."""
    table = Table(
        title="Peak memory of a run", caption="each in a process of its own, plain steps", title_justify="left"
    )
    for column in ("messages", "MiB", "x the fewest"):
        table.add_column(column, justify="right")
    found = memory()
    for count, peak in found:
        table.add_row(f"{count:,}", f"{peak:,.0f}", f"{peak / found[0][1]:.2f}")
    return table


def memory(counts: tuple[int, ...] = (2_000, 100_000)) -> list[tuple[int, float]]:
    """Peak memory (MiB) of a process that heals so many messages; each in a process of its own."""
    found = []
    with far_aws.started(0.0) as aws:
        for count in counts:
            far_aws.fill(aws, count)
            with _worker(aws) as worker:
                _read(worker.stdout)
                _go(worker)
                result = _read(worker.stdout)
            assert result["healed"] == count
            found.append((count, float(result["peak_mib"])))
    return found


def work_on_signal() -> None:
    """Get ready, wait for a line, drain the queue, and say how many messages and how much memory that took."""
    work = open_run(connect_from_environment(), REQUEST)
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    try:
        drain(work)
        print(json.dumps({"healed": work.tally.by_action["heal"], "peak_mib": peak_mib()}), flush=True)
    finally:
        work.close()


if __name__ == "__main__":
    work_on_signal()
