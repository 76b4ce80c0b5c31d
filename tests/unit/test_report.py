"""A run's findings and actions, in their form for people."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.chart import chart
from recovery.markdown import LONGEST_CELL, advice, code, subject
from recovery.report import (
    LISTED,
    SAMPLES,
    Entry,
    RecoveryReport,
    Tally,
    headline,
)
from recovery.report_page import markdown, table

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(key: str = "m-1", **changes: Any) -> Entry:
    given: dict[str, Any] = {
        "source": "orders-dlq",
        "action": "heal",
        "reason": "it may pass",
        "kind": "TIMEOUT",
        "group": "g",
    }
    return Entry(key=key, **{**given, **changes})


def report(*entries: Entry, **changes: Any) -> RecoveryReport:
    tally = Tally()
    tally.add(entries)
    given: dict[str, Any] = {
        "path": "dead_letters",
        "run": "wise-owl",
        "started": STARTED,
        "seconds": 1.25,
        "dry_run": False,
        "found": tally.found,
        "by_kind": dict(tally.by_kind),
        "by_action": dict(tally.by_action),
        "unsettled": tally.unsettled,
        "groups": tally.groups(),
        "requests": {"sqs": 3, "s3": 1},
    }
    return RecoveryReport(**{**given, **changes})


# -- counting ------------------------------------------------------------------------------------------------------


def test_alike_items_are_one_row() -> None:
    """Source, group, kind, action and outcome make a row; the largest stands first, with a few sample ids."""
    entries = [entry(f"a-{n}") for n in range(9)] + [entry("b", action="archive", group="h", kind="UNKNOWN")]
    entries.append(entry("c", settled=False))
    found = report(*entries)
    assert [(row.action, row.settled, row.count) for row in found.groups] == [
        ("heal", True, 9),
        ("heal", False, 1),
        ("archive", True, 1),
    ]
    assert found.groups[0].samples == tuple(f"a-{n}" for n in range(SAMPLES))
    assert found.by_action == {"heal": 9, "archive": 1}
    assert found.by_kind == {"TIMEOUT": 10, "UNKNOWN": 1}
    assert (found.found, found.unsettled) == (11, 1)


def test_what_was_not_diagnosed_is_grouped_by_its_reason() -> None:
    """Without a fingerprint the reason is what makes items alike."""
    found = report(*[entry(f"m-{n}", kind="", group="", action="leave", reason=f"reason {n % 2}") for n in range(6)])
    assert [row.count for row in found.groups] == [3, 3]


def test_a_tally_does_not_grow_with_the_queue() -> None:
    """Ten thousand alike items are one row."""
    tally = Tally()
    tally.add(entry(f"m-{n}") for n in range(10_000))
    [row] = tally.groups()
    assert row.count == 10_000
    assert len(row.samples) == SAMPLES


def test_a_tally_stays_bounded_when_every_failure_says_something_else() -> None:
    """AWS's words may name a value of each item (a receipt handle): the rows are bounded, and nothing is lost."""
    tally = Tally()
    tally.add(entry(f"m-{n}", kind="", group="", reason=f"handle {n} is invalid", settled=False) for n in range(5_000))
    rows = tally.groups()
    assert len(rows) <= 1_001
    assert sum(row.count for row in rows) == 5_000


# -- quiet, failed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "quiet", "failed"),
    [
        ({}, True, False),
        ({"problems": ("queue x: does not exist",)}, False, True),
        ({"warnings": ("mind this",)}, False, False),
        ({"recovered": 1}, False, False),
        ({"found": 1}, False, False),
        ({"found": 1, "unsettled": 1}, False, True),
    ],
)
def test_when_a_report_is_worth_showing_and_when_a_run_failed(
    changes: dict[str, Any], quiet: bool, failed: bool
) -> None:
    """An artifact for whatever was found or went wrong; a failed run for what did not go through."""
    assert report(**changes).is_quiet is quiet
    assert report(**changes).failed is failed


# -- shown ---------------------------------------------------------------------------------------------------------


def test_a_headline_shows_what_was_done() -> None:
    """Counts of items found, done, stuck and recovered; a dry run adds that nothing was changed."""
    found = report(entry("a"), entry("b", settled=False), recovered=2)
    assert headline(found) == "2 found: 1 healed, 1 did not go through; 2 of earlier runs proved recovered."
    assert headline(report(entry(), dry_run=True)) == "Dry run: 1 inspected, nothing changed. It would be: 1 to heal."
    assert headline(report()) == "0 found: nothing settled."


def test_the_page_has_a_picture_and_what_to_do() -> None:
    """Headed by a chart; problems, warnings, groups with next steps, and the requests made."""
    stuck = entry("b", action="alert", kind="AUTH_FAILURE", group="h", error="401 <host>", next_step="renew the key")
    shown = markdown(
        report(entry(), stuck, problems=("queue x: gone",), warnings=("mind",), full_list="s3://b/k"), "Dead letters"
    )
    assert shown.startswith("# Dead letters\n")
    assert "](data:image/svg+xml;base64," in shown
    for stated in (
        "- queue x: gone",
        "- mind",
        "renew the key",
        "`401 <host>`",
        "- group: `h`, for example `b`",
        "AWS requests: 4 (s3 1, sqs 3)",
        "`s3://b/k`",
    ):
        assert stated in shown, stated


def groups_of(page: str) -> list[list[str]]:
    """The lines of each group, its heading first."""
    section = page.partition("\n## For a person to do\n")[2] or page.partition("\n## Done\n")[2]
    section = re.sub(r"^## Done$", "", section, flags=re.MULTILINE).partition("\n## ")[0]
    return [block.splitlines() for block in re.split(r"^### ", section, flags=re.MULTILINE)[1:]]


HOSTILE = [
    "{{ system('x') }}",
    "{{{{ nested }}}}",
    "{% raw %}",
    "{# hidden #}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b | c",
    "` [click](http://evil.example) `",
    "![pixel](http://evil.example/p.png)",
    "[link](javascript:alert(1))",
    "line\nbreak\r\n# heading",
    "|\n|---|\n",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["kind", "source", "reason", "error", "group", "next_step"])
def test_no_text_breaks_out_of_its_line(text: str, where: str) -> None:
    """An error is somebody else's text: it starts no template, tag, link, picture, heading or line."""
    shown = markdown(report(entry(**{"next_step": "wait", where: text})), "Dead letters")
    [lines] = groups_of(shown)
    stated = [line for line in lines[1:] if line]
    assert len(stated) == (4 if where == "error" else 3), (
        "why, the group, the next step, and the error where there is one"
    )
    for line in stated:
        assert line.startswith(("- why: ", "- error: ", "- group: ", "- next step: "))
    for line in lines:
        outside = re.sub(r"`[^`]*`", "", line)
        for opening in ("{{", "}}", "{%", "{#"):
            assert opening not in line
        assert not re.search(r"<[a-zA-Z/!]", outside)
        assert not re.search(r"\]\(", outside)


@given(st.text(), st.text(), st.text())
def test_no_text_at_all_breaks_the_page(reason: str, error: str, step: str) -> None:
    """The same for whatever text: one group, and no line but its own."""
    shown = markdown(report(entry(reason=reason, error=error, next_step=step)), "Dead letters")
    [lines] = groups_of(shown)
    assert len([line for line in lines[1:] if line]) == 2 + bool(error) + bool(step)
    assert "{{" not in "".join(lines)
    assert "}}" not in "".join(lines)


def test_what_needs_a_person_stands_first() -> None:
    """Items that did not go through, then those with a next step, then the rest, the largest of each first."""
    entries = [entry(f"a-{n}") for n in range(9)]
    entries += [entry(f"b-{n}", action="alert", group="h", next_step="fix it") for n in range(2)]
    entries += [entry("c", group="i", settled=False)]
    found = report(*entries)
    headings = [lines[0] for lines in groups_of(markdown(found, "Dead letters"))]
    assert headings == [
        "1 TIMEOUT of orders-dlq: heal, did not go through",
        "2 TIMEOUT of orders-dlq: parked",
        "9 TIMEOUT of orders-dlq: healed",
    ]
    assert [row["count"] for row in table(found)] == [1, 2, 9]


def test_problems_and_warnings_start_nothing_either() -> None:
    """AWS's own words stand there."""
    shown = markdown(report(problems=("<b>{{ x }}</b>\n# big",), warnings=("[a](b)",)), "Dead letters")
    assert "<b>" not in shown
    assert "{{" not in shown
    assert "[a](b)" not in shown
    assert "\n# big" not in shown


def test_a_page_is_bounded() -> None:
    """However many groups and however long their texts: 50 rows, cut texts, and a word about the rest."""
    entries = [entry(f"m-{n}", group=f"g-{n}", reason="x" * 5_000, error="y" * 5_000) for n in range(300)]
    found = report(*entries, problems=tuple("z" * 5_000 for _ in range(300)))
    shown = markdown(found, "Dead letters")
    assert len(groups_of(shown)) == LISTED
    assert "250 more groups are in the full list." in shown
    assert len(shown) < 3 * LISTED * (LONGEST_CELL + 100) + 10_000
    rows = table(found)
    assert len(rows) == LISTED
    assert max(len(str(value)) for row in rows for value in row.values()) <= LONGEST_CELL
    assert len(json.dumps(rows)) < LISTED * 4 * LONGEST_CELL


def test_the_table_says_what_to_do_next() -> None:
    """One row for each group, its next step first; what did not go through says so."""
    [row] = table(report(entry(settled=False, next_step="grant it", rule="http.504")))
    assert row["action"] == "heal, did not go through"
    assert row["source"] == "orders-dlq"
    assert row["next step"] == "grant it"
    assert next(iter(row)) == "next step"


def test_the_chart_is_a_picture_whatever_its_labels() -> None:
    """Well-formed SVG; the longest bar fills the width, an empty one is empty."""
    bars = [("heal", 100), ("<script>&\"'", 50), ("none", 0)]
    head, _, data = chart(bars).partition(",")
    assert head == "data:image/svg+xml;base64"
    svg = ElementTree.fromstring(base64.b64decode(data))
    widths = [int(rect.attrib["width"]) for rect in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[0] == 640
    assert 2 * widths[2] == widths[1] > 250
    assert widths[3] == 0
    assert "<script>&\"'" in [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]


def test_the_bars_keep_their_room_beside_long_labels() -> None:
    """A text that does not fit is cut with a sign; one that fits is there to its last character."""
    fits, too_long = "VALIDATION_ERROR, back-office-dlq", "DEPENDENCY_FAILURE, " + "x" * 80
    svg = ElementTree.fromstring(base64.b64decode(chart([(fits, 2), (too_long, 2)]).partition(",")[2]))
    labels = [text.text or "" for text in svg.iter("{http://www.w3.org/2000/svg}text")][::2]
    assert labels[0] == fits
    assert labels[1].startswith("DEPENDENCY_FAILURE, xx")
    assert labels[1].endswith("x…")
    widths = [int(rect.attrib["width"]) for rect in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert min(widths) >= 240


# -- names and advice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "count", "reported"),
    [
        (["orders"], 1, "orders"),
        (["orders", "stock"], 2, "orders and stock"),
        (["orders", "stock", "billing"], 3, "orders, stock and billing"),
        (["orders", "stock", "billing", "lake"], 9, "orders, stock, billing and 6 more"),
        (["orders", "orders"], 1, "orders"),
        ([], 2, "2"),
    ],
)
def test_items_are_called_by_their_names(names: list[str], count: int, reported: str) -> None:
    """As many as a heading holds, and how many more."""
    assert subject(names, count) == reported


def test_a_heading_names_what_has_a_name() -> None:
    """Of replications and flows the names; nobody knows an instance's or a connector's id."""
    stuck = [entry(name, source="74159995F817", action="escalate") for name in ("orders-cdc", "stock-cdc")]
    found = report(*stuck, path="replication_tasks")
    [lines] = groups_of(markdown(found, "Replication tasks"))
    assert lines[0] == "2 TIMEOUT of orders-cdc and stock-cdc: escalated"
    [row] = table(found)
    assert row["items"] == "orders-cdc, stock-cdc"
    assert list(row)[:4] == ["next step", "count", "kind", "items"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fix the key", "**fix the key**"),
        ("run: aws dms stop-replication --arn 'a b'", "**run:** `aws dms stop-replication --arn 'a b'`"),
        (
            "fix it; then run: aws appflow start-flow --flow-name x; look again",
            "**fix it; then run:** `aws appflow start-flow --flow-name x`; **look again**",
        ),
        ("run `aws dms test-connection` until it succeeds", "**run `aws dms test-connection` until it succeeds**"),
        ("aws secrets are reported to be wrong | <b>", "**aws secrets are reported to be wrong \\| &lt;b>**"),
        ("a lone ` and aws dms reload-tables --x", "**a lone ' and** `aws dms reload-tables --x`"),
        ("", ""),
    ],
)
def test_a_command_stands_as_code(text: str, shown: str) -> None:
    """It can be copied as it is; the words around it are bold."""
    assert advice(text) == shown


def test_code_is_shown_as_it_is() -> None:
    """A bar in a span of code needs no backslash, which would be shown."""
    assert code("a | b") == "`a | b`"


def test_a_report_survives_json() -> None:
    """It is a flow's result."""
    found = report(entry(), pictures=(("missed", 3),))
    assert RecoveryReport.model_validate_json(found.model_dump_json()) == found


def test_a_line_of_the_full_list_is_plain_json() -> None:
    """Every field of an entry, so that the list can be read by anything."""
    assert json.loads(json.dumps(entry().as_json()))["reason"] == "it may pass"
