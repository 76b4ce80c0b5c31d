"""python -m proof.crash [--stride N] [--only TEXT] [--part points ...]: what is proven and how, see docs/proof.md."""

from __future__ import annotations

import proof.crash.shut_in as shut_in  # isort: skip - before anything that might see a person's accounts is imported

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

from proof.crash import lasting, through_prefect, trouble, workers
from proof.crash.lasting_scenes import LASTING
from proof.crash.planted import DEFECTS
from proof.crash.points import Harness, Tried, table
from proof.crash.scene import connection_to
from proof.crash.scenes import all_scenes
from simulated_aws.server import SimulatedAws

PARTS = ("points", "faults", "lasting", "workers", "prefect", "planted")


def say(text: str) -> None:
    """A line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def crash_points(stride: int, only: str) -> list[str]:
    """Kill every run at every request; prints the table, and returns what must not be."""
    results: list[Tried] = []
    with SimulatedAws.start() as aws:
        connection = connection_to(aws)
        harness = Harness(aws, connection)
        with all_scenes(aws, connection) as scenes:
            for number, (name, make) in enumerate(scenes):
                if only in name:
                    aws.reset()
                    # Another first point in each scene, so that a stride does not always meet the same requests.
                    results.append(harness.crash(make(), stride=stride, first=1 + 3 * number))
                    say(table(results[-1:]).splitlines()[1])
                    for violation in results[-1].violations:
                        say(f"  VIOLATION {violation}")
    say(table(results))
    return [each for tried in results for each in tried.violations]


def faults(stories: int, only: str) -> list[str]:
    """Seeded stories of faults; prints what was met, and returns what must not be."""
    with SimulatedAws.start() as aws:
        connection = connection_to(aws)
        with all_scenes(aws, connection) as scenes:
            violations, report = trouble.play(aws, connection, [each for each in scenes if only in each[0]], stories)
    for violation in violations:
        say(f"  VIOLATION {violation}")
    say(report)
    return violations


def lasting_trouble(stories: int, only: str) -> list[str]:
    """Sweep after sweep under one trouble; prints what became of all, and returns what must not be."""
    with SimulatedAws.start() as aws:
        violations, report = lasting.play(aws, LASTING, stories, only)
    for violation in violations:
        say(f"  VIOLATION {violation}")
    say(report)
    return violations


def many_workers(counts: Sequence[int]) -> list[str]:
    """Two to sixteen processes on one list of work; returns what must not be."""
    with SimulatedAws.start() as aws:
        violations, report = workers.play(aws, connection_to(aws), counts)
    for violation in violations:
        say(f"  VIOLATION {violation}")
    say(report)
    return violations


def flow_runs(kills: int, only: str) -> list[str]:
    """Kill whole flow runs; returns what must not be."""
    with SimulatedAws.start() as aws:
        violations, report = through_prefect.play(aws, connection_to(aws), kills, only)
    for violation in violations:
        say(f"  VIOLATION {violation}")
    say(report)
    return violations


def planted_defects() -> list[str]:
    """Play scenes whose path is broken on purpose; returns the defects that the harness did not find."""
    missed = []
    with SimulatedAws.start() as aws:
        connection = connection_to(aws)
        harness = Harness(aws, connection)
        for defect in DEFECTS:
            aws.reset()
            found = harness.crash(defect(aws, connection), stride=12)
            say(f"planted: {found.scene}: {len(found.violations)} violations, as {found.violations[:1]}")
            if not any(defect.shows in violation for violation in found.violations):
                missed.append(found.scene)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.crash", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="try only every Nth crash point")
    parser.add_argument("--only", default="", help="only scenes whose name contains this")
    parser.add_argument("--stories", type=int, default=6, help="seeds of faults for each scene")
    parser.add_argument("--kills", type=int, default=through_prefect.KILLS, help="kills of flow runs of each path")
    parser.add_argument("--workers", type=int, nargs="+", default=workers.WORKERS, help="processes on one list of work")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; all if none")
    options = parser.parse_args()
    began = time.monotonic()
    say(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}")
    parts: dict[str, Callable[[], list[str]]] = {
        "points": lambda: crash_points(options.stride, options.only),
        "faults": lambda: faults(options.stories, options.only),
        "lasting": lambda: lasting_trouble(options.stories, options.only),
        "workers": lambda: many_workers(options.workers),
        "prefect": lambda: flow_runs(options.kills, options.only),
        "planted": planted_defects,
    }
    violations: list[str] = []
    for part in options.part or parts:
        say(f"\n{part}")
        violations += parts[part]()
    say(f"{len(violations)} violations, {time.monotonic() - began:.0f} s")
    return 1 if violations else 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        shut_in.tidy_up()
    sys.exit(code)
