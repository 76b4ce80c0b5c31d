"""`python -m proof.rubbish`: mutated events, messages, rows, API answers, failure texts and requests, by seed."""

from __future__ import annotations

import argparse
import copy
import hashlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from types import ModuleType
from typing import Any

from proof.rubbish import answers, events, messages, requests, rows, texts
from proof.rubbish.mutation import Rubbish

KINDS: dict[str, ModuleType] = {
    "events": events,
    "messages": messages,
    "rows": rows,
    "answers": answers,
    "texts": texts,
    "requests": requests,
}
SHRINKS = 2_000
"""Smaller cases that are tried for one violation."""


@dataclass
class Tried:
    """Outcome of one kind of rubbish.

    Attributes:
        outcomes: number of cases that ended in each.
        violations: minimal reproduction and traceback, by the place at which it broke.
        broken: number of cases that broke.
        seconds: its duration.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    violations: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    seconds: float = 0.0


def case_of(kind: str, seed: int, number: int) -> Any:
    """The same case for the same kind, seed and number."""
    digest = hashlib.sha256(f"{seed}:{kind}:{number}".encode()).digest()
    return KINDS[kind].made(Rubbish(Random(digest), utf8=hasattr(KINDS[kind], "UTF8")))


def tried(kind: str, seed: int, numbers: range) -> Tried:
    """Make and triage these cases."""
    found = Tried()
    began = time.perf_counter()
    for number in numbers:
        case = case_of(kind, seed, number)
        try:
            found.outcomes[KINDS[kind].outcome(copy.deepcopy(case))] += 1
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is looked for
            found.broken += 1
            place = _place(error)
            if place not in found.violations:
                small = shrunk(kind, case, place)
                found.violations[place] = (
                    f"{kind} {number} (--seed {seed}): {place}\n"
                    f"  {type(error).__name__}: {str(error)[:300]}\n  case: {repr(small)[:3000]}\n"
                    + "".join(
                        f"    {line.filename}:{line.lineno}\n"
                        for line in traceback.extract_tb(error.__traceback__)[-4:]
                    )
                )
    found.seconds = time.perf_counter() - began
    return found


def shrunk(kind: str, case: Any, place: str) -> Any:
    """The smallest case found that breaks at the same place."""
    left = SHRINKS
    smaller = True
    while smaller and left > 0:
        smaller = False
        for candidate in _smaller(case):
            left -= 1
            if left < 0:
                break
            try:
                KINDS[kind].outcome(copy.deepcopy(candidate))
            except Exception as error:  # noqa: BLE001
                if _place(error) == place:
                    case, smaller = candidate, True
                    break
    return case


def _smaller(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in value:
            yield {name: inner for name, inner in value.items() if name != key}
        for key, inner in value.items():
            for part in _smaller(inner):
                yield {**value, key: part}
    elif isinstance(value, list | tuple):
        for place in range(len(value)):
            yield [*value[:place], *value[place + 1 :]]
        for place, inner in enumerate(value):
            for part in _smaller(inner):
                yield [*value[:place], part, *value[place + 1 :]]
    elif isinstance(value, str) and len(value) > 1:
        half = len(value) // 2
        yield value[:half]
        yield value[half:]
        if len(value) < 40:
            for place in range(len(value)):
                yield value[:place] + value[place + 1 :]


def _place(error: Exception) -> str:
    """Return the place of a break: the error's type and the innermost line of this project."""
    ours = [
        line
        for line in traceback.extract_tb(error.__traceback__)
        if (".venv" not in line.filename and "/recovery/" in line.filename)
        or "/proof/" in line.filename
        or "/tests/" in line.filename
    ]
    last = ours[-1]
    return f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 where anything broke."""
    parser = argparse.ArgumentParser(prog="python -m proof.rubbish", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="cases in all, in equal parts of each kind")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--only", choices=sorted(KINDS), action="append", help="these kinds alone")
    parser.add_argument("--at", type=int, help="only the case of this number")
    parser.add_argument("--outcomes", action="store_true", help="how often each outcome came")
    chosen = parser.parse_args(arguments)
    kinds = chosen.only or list(KINDS)
    each = -(-chosen.count // len(kinds))
    broken = 0
    for kind in kinds:
        numbers = range(each) if chosen.at is None else range(chosen.at, chosen.at + 1)
        found = tried(kind, chosen.seed, numbers)
        broken += found.broken
        _say(
            f"{kind:9} {len(numbers):7,} tried, {len(found.outcomes):4} outcomes,"
            f" {found.broken} violations, {found.seconds:6.1f} s"
        )
        if chosen.outcomes:
            for outcome, count in found.outcomes.most_common():
                _say(f"    {count:7,}  {outcome}")
        for violation in found.violations.values():
            _say(violation)
    total = each * len(kinds) if chosen.at is None else len(kinds)
    _say(f"rubbish: {total:,} tried, {broken} violations, seed {chosen.seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
