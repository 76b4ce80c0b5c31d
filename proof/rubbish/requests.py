"""Requests as people, forms and events spell them: a request that can be followed, or an error that names the field.

Their texts are UTF-8: they come through Prefect's API.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from proof.rubbish.mutation import Rubbish
from proof.rubbish.reasons import check_reason
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.policy import matches as flow_matches
from recovery.backoff import Backoff
from recovery.dead_letters import triage
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.digest.request import DigestRequest
from recovery.errors import BadInput
from recovery.failures import Kind, violates_schema
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.operations import TidyRequest
from recovery.outbox_records.policy import OutboxRequest
from recovery.replication_tasks.models import Facts, Migration
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.policy import matches as task_matches

SOUND: dict[type[BaseModel], dict[str, Any]] = {
    DeadLetterRequest: {
        "queues": ["orders-*"],
        "dry_run": False,
        "limit": 10,
        "policy": {
            "max_attempts": 4,
            "actions": {"UNKNOWN": "heal"},
            "error_attributes": ["error"],
            "max_age_seconds": 600,
        },
        "queue_policies": {"orders-*": {"body_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
    },
    ReplayRequest: {"queues": ["orders-dlq"], "kinds": ["TIMEOUT"], "first_seen_from": "2026-03-01T00:00:00Z"},
    OutboxRequest: {
        "table": "orders",
        "topic_arn": "arn:aws:sns:eu-west-1:123456789012:orders",
        "names": {"message": "body", "attributes": ["kind"]},
        "policy": {"max_attempts": 3, "grace_seconds": 5},
        "shards": 4,
        "mode": "deliver",
    },
    ReplicationRequest: {"tasks": ["orders", "tag:team=a"], "policy": {"allow_reload": ["orders"], "flaps": 2}},
    AppFlowRequest: {
        "flows": ["orders"],
        "policy": {"attempts": 3, "backoff": {"base_seconds": 60}},
        "flow_policies": {"a*": {}},
    },
    CaseRequest: {"key": "m-1", "path": "dead_letters", "outbox_tables": ["orders"], "days": 2},
    ListRequest: {"paths": ["outbox_records"], "groups": ["g"], "older_than_seconds": 1.5},
    DigestRequest: {"day": "2026-03-01", "outbox_tables": ["orders"], "dry_run": False},
    TidyRequest: {"work_pool": "reprise", "silent_minutes": 10},
}
UTF8 = True
NAMES = {model.__name__: model for model in SOUND}
TASK = Facts("arn:aws:dms:x:1:task:A", "orders", Migration.CDC, "failed", tags=frozenset({("team", "a")}))
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def made(rubbish: Rubbish) -> dict[str, Any]:
    """A sound request with mutations, now and then with fields of others."""
    name = rubbish.pick(sorted(NAMES))
    sound = dict(SOUND[NAMES[name]])
    for field in NAMES[name].model_fields:
        if field not in sound and rubbish.chance(0.1):
            sound[field] = rubbish.value()
    return {"request": name, "given": rubbish.mutated(sound)}


def outcome(case: dict[str, Any]) -> str:
    """Validate a request; an error that names no field raises, and so does a request that breaks its path later."""
    model = NAMES[case["request"]]
    try:
        request = model.model_validate(case["given"])
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False, include_input=False, include_context=False)
        whole = not isinstance(case["given"], dict)
        # An error about several fields at once names them in its words.
        assert all(each["loc"] or whole or _names_a_field(model, each["msg"]) for each in errors), errors
        assert all(len(each["msg"]) > 5 for each in errors)
        return f"{case['request']}: refused"
    for backoff in _backoffs(request):
        waits = [backoff.delay(attempt, 1.0) for attempt in (1, 2, 20, 100)]
        assert waits == sorted(waits)
    try:
        _used(request)
    except BadInput as refusal:
        check_reason(str(refusal))
        return f"{case['request']}: refused before anything is touched"
    again = model.model_validate_json(request.model_dump_json())
    spellable = all(word not in repr(request) for word in ("nan", "inf"))  # JSON has neither
    assert again == request or not spellable, "a request changes on its way through JSON"
    return f"{case['request']}: taken"


def _used(request: BaseModel) -> None:
    match request:
        case DeadLetterRequest():
            for policy in (request.policy_for("orders-dlq"), request.policy):
                triage.check(policy.model_copy(update={"rules_file": None}))
                for kind in Kind:
                    assert policy.action_for(kind, "r", "g", "")[1]
                if policy.body_schema is not None:
                    violates_schema(json.dumps({"a": "x", "b": [1]}), policy.body_schema)
        case ReplayRequest():
            assert request.is_empty in (True, False)
        case ReplicationRequest():
            task_matches(TASK, request.tasks)
        case AppFlowRequest():
            request.policy_for("orders")
            flow_matches("orders", {"team": "a"}, request.flows)


def _backoffs(value: Any) -> Iterator[Backoff]:
    if isinstance(value, Backoff):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _backoffs(getattr(value, name))


def _names_a_field(model: type[BaseModel], words: str) -> bool:
    return any(field in words for field in model.model_fields)
