"""The forms of the by-hand deployments fill their fields with the flows' own defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from flows.appflow_runs import recover_appflow_runs
from flows.dead_letters import recover_dead_letters, replay_archived_messages
from flows.outbox_records import recover_outbox_records
from flows.replication_tasks import recover_replication_tasks
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.outbox_records.policy import OutboxRequest
from recovery.replication_tasks.policy import ReplicationRequest

FORMS = [
    pytest.param(recover_dead_letters, DeadLetterRequest(), id="dead-letters"),
    pytest.param(replay_archived_messages, ReplayRequest(), id="replay"),
    pytest.param(recover_outbox_records, OutboxRequest(), id="outbox-records"),
    pytest.param(recover_replication_tasks, ReplicationRequest(), id="replication-tasks"),
    pytest.param(recover_appflow_runs, AppFlowRequest(), id="appflow-runs"),
]
_NOTHING: tuple[Any, ...] = (None, [], {}, "")


class Form:
    """A flow's form, as the UI builds it from the schema of its parameters."""

    def __init__(self, flow: Any) -> None:
        schema = parameter_schema(flow).model_dump()
        self._definitions: Mapping[str, Any] = schema["definitions"]
        self.request = self._resolved(schema["properties"]["request"])

    def fields(self, schema: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each field with its schema, those of nested models among them."""
        for name, raw in schema.get("properties", {}).items():
            field = self._resolved(raw)
            yield f"{at}{name}", field
            if "default" not in raw:
                yield from self.fields(field, f"{at}{name}.")

    def _resolved(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        for reference in (raw, *raw.get("allOf", ())):
            if "$ref" in reference:
                return {**self._definitions[reference["$ref"].rsplit("/", 1)[1]], **raw}
        return dict(raw)


def _of(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize(("flow", "request_"), FORMS)
def test_a_form_shows_what_would_be_done(flow: Any, request_: Any) -> None:
    """A field's value in the form is the flow's own default: sending the form unchanged changes nothing."""
    form, own = Form(flow), request_.model_dump(mode="json")
    wrong = {}
    for path, field in form.fields(form.request):
        if "properties" in field and "default" not in field:
            continue  # a nested model: its fields are looked at one by one
        shown = field.get("default")
        if shown != _of(own, path) and not (shown in _NOTHING and _of(own, path) in _NOTHING):
            wrong[path] = (shown, _of(own, path))
    assert wrong == {}


@pytest.mark.parametrize(("flow", "request_"), FORMS)
def test_each_field_says_what_it_is(flow: Any, request_: Any) -> None:
    """A title for people, no class's name, and a sentence that ends."""
    form = Form(flow)
    fields = dict(form.fields(form.request))
    assert set(fields) >= set(type(request_).model_fields)
    for path, field in fields.items():
        title = field.get("title", "")
        assert title, path
        assert title.isupper() or " " in title or title == title.capitalize(), f"{path} is called {title}"
        assert str(field.get("description", "")).rstrip().endswith((".", "?", '"')), f"{path} does not say what it is"
