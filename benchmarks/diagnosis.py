"""Failure texts diagnosed per second on one core, beside the substring rules that healers of this kind use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.table import Table

from recovery.failures import TRANSIENT_KINDS, Evidence, diagnose

SIZE = 500
"""Bytes of a text."""
GOAL = 20_000
"""Texts a second that are asked for."""
LONG = 262_144
LONG_GOAL = 0.020
"""Seconds for one text of 256 KiB."""
ROUNDS = 7
CASES = Path(__file__).parents[1] / "tests" / "unit" / "failures" / "cases"
FRAMES = {
    "java": "\tat com.acme.orders.OrderService.place(OrderService.java:118)",
    "node": "    at OrderService.place (/app/dist/orders/service.js:118:23)",
    "dotnet": "   at Acme.Orders.OrderService.Place(Order order) in /src/Orders/OrderService.cs:line 118",
    "python": '  File "/app/orders/service.py", line 118, in place\n    return self.gateway.place(order)',
    "ruby": "/app/services/orders/place.rb:118:in `place'",
    "php": "#3 /app/src/Orders/OrderService.php(118): App\\Orders->place()",
    "go": "\t/app/orders/service.go:118 +0x1f",
}
LOGGED = "2024-05-06T10:00:00.000Z INFO orders processing a batch of items for tenant acme"
# The rules that such healers ship with, tried in this order on the text in lower case.
SUBSTRINGS = (
    ("AUTH_FAILURE", ("401", "403", "unauthorized", "forbidden", "access denied", "token", "credential")),
    ("VALIDATION_ERROR", ("400", "422", "validation", "invalid", "required", "schema")),
    ("TIMEOUT", ("timeout", "timed out", "deadline")),
    ("BAD_PAYLOAD", ("json", "parse", "malformed", "decode")),
    ("THROTTLED", ("429", "throttl", "rate exceeded", "too many")),
    ("DEPENDENCY_FAILURE", ("500", "502", "503", "504", "connection", "unavailable", "network")),
    ("CODE_BUG", ("nullpointer", "typeerror", "keyerror", "attributeerror", "undefined")),
)


def run() -> Table:
    """Speed on texts of 500 bytes, on one of 256 KiB, and how often each is right on the texts of our own."""
    cases = [
        json.loads(line) for file in sorted(CASES.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    texts = [sized(case["error"], FRAMES.get(case["ecosystem"], LOGGED)) for case in cases]
    ours = fastest(lambda text: diagnose(Evidence(error=text)), texts)
    naive = fastest(substrings, texts)
    table = Table(title="Diagnosis", caption="one core, processor time, best of 7 rounds", title_justify="left")
    for column in ("", "rules", "substrings", "goal"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("texts of 500 bytes a second", f"{ours:,.0f}", f"{naive:,.0f}", f"{GOAL:,}")
    table.add_row("microseconds a text", f"{1e6 / ours:.0f}", f"{1e6 / naive:.0f}", f"{1e6 / GOAL:.0f}")
    slowest = max(seconds(text) for text in long_texts())
    table.add_row("256 KiB, slowest of 5, ms", f"{slowest * 1e3:.1f}", "", f"{LONG_GOAL * 1e3:.0f}")
    for title, share in (("right on our own texts", right), ("harmful", harmful)):
        table.add_row(
            title,
            f"{100 * share(cases, lambda text: str(diagnose(Evidence(error=text)).kind)):.1f} %",
            f"{100 * share(cases, substrings):.1f} %",
            "",
        )
    return table


def sized(text: str, line: str) -> str:
    """The text with frames or log lines behind it, 500 bytes long."""
    while len(text.encode()) < SIZE:
        text += "\n" + line
    return text.encode()[:SIZE].decode("utf-8", "ignore")


def fastest(diagnose: Callable[[str], object], texts: list[str]) -> float:
    """Texts a second in the fastest round; the first, which compiles phrases, does not count."""
    for text in texts:
        diagnose(text)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for text in texts:
            diagnose(text)
        best = min(best, time.process_time() - began)
    return len(texts) / best


def seconds(text: str) -> float:
    """Processor time of one diagnosis, the best of a few."""
    best = float("inf")
    for number in range(ROUNDS):
        evidence = Evidence(error=f"{text}{number}")  # not one that was read just before
        began = time.process_time()
        diagnose(evidence)
        best = min(best, time.process_time() - began)
    return best


def long_texts() -> Iterator[str]:
    """Texts of 256 KiB: a trace, a log, JSON, values in quotation marks, and words that begin many phrases."""
    for piece in (
        FRAMES["java"] + "\n",
        LOGGED + "\n",
        '{"level": "error", "items": [1, 2, 3], "note": "x"}\n',
        "'value' is not valid, \"other\" is 503; ",
        "failed connection error timeout invalid request ",
    ):
        yield (piece * (LONG // len(piece) + 1))[:LONG]


def substrings(text: str) -> str:
    """The kind by the first substring that is found."""
    lower = text.lower()
    for kind, parts in SUBSTRINGS:
        for part in parts:
            if part in lower:
                return kind
    return "UNKNOWN"


def right(cases: list[dict[str, str]], diagnose: Callable[[str], str]) -> float:
    """The share of texts whose kind an operator would accept."""
    return sum(diagnose(case["error"]) in (case["kind"], *case["also"]) for case in cases) / len(cases)


def harmful(cases: list[dict[str, str]], diagnose: Callable[[str], str]) -> float:
    """The share of texts that are called transient and are not."""
    return sum(
        diagnose(case["error"]) in TRANSIENT_KINDS and not TRANSIENT_KINDS & {case["kind"], *case["also"]}
        for case in cases
    ) / len(cases)
