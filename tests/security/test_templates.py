"""Strangers' texts in events are no templates, however they are nested."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.events.hints import translate
from recovery.markdown import advice, cell, code
from tests.unit.events.test_appflow import REPORT
from tests.unit.events.test_hints import FAILED

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MARKS = ("{{", "}}", "{%", "%}", "{#", "#}", "__prefect_kind")
texts = st.lists(st.sampled_from(["{", "}", "%", "#", "{{", "}}", "__prefect_kind", "__prefect", "x", " "])).map(
    "".join
)


@settings(max_examples=200)
@given(texts)
def test_no_payload_holds_a_template(hostile: str) -> None:
    """Neither a name nor a message nor a status of AWS's events, three braces in a row included."""
    task = {
        **FAILED,
        "resources": [f"arn:aws:dms:eu-west-1:123456789012:task:x{hostile}"],
        "detail": {**FAILED["detail"], "detailMessage": hostile},
    }
    flow = {**REPORT, "detail": {**REPORT["detail"], "flow-name": f"x{hostile}", "status": f"Failed {hostile}"}}
    for event in (task, flow):
        for hint in translate(json.dumps(event), "id", NOW):
            for value in hint.as_event()["payload"].values():
                assert [mark for mark in MARKS if mark in str(value)] == []


@settings(max_examples=200)
@given(texts)
def test_no_page_holds_a_template(hostile: str) -> None:
    """Cells and spans of code on the pages that people see."""
    for shown in (cell(hostile), code(hostile), advice(hostile)):
        assert [mark for mark in ("{{", "}}", "{%", "{#") if mark in shown] == []


def test_a_status_shows_no_secret() -> None:
    """The status of a failed AppFlow run is a text of a stranger's system: it is masked before it leaves."""
    status = "Execution Failed: 401 for someone@example.org, password=hunter2hunter2"
    [hint] = translate(json.dumps({**REPORT, "detail": {**REPORT["detail"], "status": status}}), "id", NOW)
    shown = str(hint.as_event()["payload"]["status"])
    assert shown.startswith("Execution Failed")
    assert "hunter2" not in shown
    assert "someone" not in shown


@pytest.mark.parametrize("markup", ["<script>boo()</script>", "[go](javascript:boo())", "![x](http://a/b)", "a|b"])
def test_no_cell_holds_markup(markup: str) -> None:
    """No tag, link, picture or end of a cell; a span of code shows them as they are."""
    shown = cell(markup)
    assert "<" not in shown
    assert "](" not in shown
    assert "|" not in shown.replace("\\|", "")
    assert code(f"`{markup}`").count("`") == 2
