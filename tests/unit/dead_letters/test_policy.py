"""The request and the policy: what a person may ask, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from recovery.dead_letters.actions import DEFAULT_ACTIONS, Action
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.triage import check
from recovery.errors import BadInput
from recovery.failures import TRANSIENT_KINDS, Kind


def test_nothing_is_asked_by_default() -> None:
    """No queue, and only a look; a replay without a filter touches nothing."""
    request = DeadLetterRequest()
    assert request.queues == ()
    assert request.dry_run
    assert ReplayRequest().dry_run
    assert ReplayRequest().is_empty


@pytest.mark.parametrize(
    "chosen",
    [
        {"queues": ["orders-dlq"]},
        {"kinds": ["AUTH_FAILURE"]},
        {"groups": ["0123456789abcdef"]},
        {"message_ids": ["m-1"]},
        {"first_seen_from": datetime(2026, 1, 1, tzinfo=UTC)},
        {"first_seen_until": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_each_filter_of_a_replay_counts(chosen: dict[str, Any]) -> None:
    """One filter is enough to choose messages; destination and limits are none."""
    assert not ReplayRequest(**chosen).is_empty
    assert ReplayRequest(destination="orders", limit=5).is_empty


@pytest.mark.parametrize("model", [DeadLetterRequest, DeadLetterPolicy, ReplayRequest])
def test_the_form_is_complete(model: type[BaseModel]) -> None:
    """Every field is described; unknown keys are refused; the value cannot be changed."""
    assert {name for name, field in model.model_fields.items() if not field.description} == set()
    with pytest.raises(ValidationError):
        model(quues=["orders-dlq"])
    with pytest.raises(ValidationError):
        model().dry_run = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [
        {"queues": [""]},
        {"queues": ["x" * 1025]},
        {"queues": ["q"] * 201},
        {"limit": 0},
        {"limit": 1_000_001},
        {"time_limit_seconds": 9},
        {"time_limit_seconds": 39_601},
        {"policy": {"max_attempts": 0}},
        {"policy": {"max_attempts": 21}},
        {"policy": {"max_per_second": 0}},
        {"policy": {"max_age_seconds": 59}},
        {"policy": {"settle_seconds": 0}},
        {"policy": {"alert_window_seconds": 59}},
        {"policy": {"sweep_seconds": 29}},
        {"policy": {"actions": {"TIMEOUT": "explode"}}},
        {"policy": {"actions": {"TIMEOUTS": "heal"}}},
        {"policy": {"error_attributes": ["a"] * 11}},
        {"policy": {"destination": " "}},
    ],
)
def test_what_is_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    """Every number has a least and a most, every list a longest."""
    with pytest.raises(ValidationError):
        DeadLetterRequest.model_validate(fields)


def test_the_longest_run_holds_its_messages_within_what_sqs_allows() -> None:
    """A lease is two minutes longer than the run, and SQS hides a message 12 hours at most."""
    longest = DeadLetterRequest(time_limit_seconds=39_600)
    assert longest.time_limit_seconds + 120 <= 43_200


def test_one_queue_may_be_given_as_one_word() -> None:
    """A form or a script that gives a single name means a list of it."""
    assert DeadLetterRequest.model_validate({"queues": " orders-dlq "}).queues == ("orders-dlq",)


def test_what_passes_by_itself_is_healed_and_nothing_else() -> None:
    """By default the three transient kinds are sent back; the others would fail again."""
    assert {kind for kind, action in DEFAULT_ACTIONS.items() if action is Action.HEAL} == TRANSIENT_KINDS
    assert set(DEFAULT_ACTIONS) == set(Kind)


def test_the_first_policy_that_matches_a_queue_counts() -> None:
    """By name or glob, in the order given; else the request's own."""
    strict, lax = DeadLetterPolicy(max_attempts=1), DeadLetterPolicy(max_attempts=9)
    request = DeadLetterRequest(queue_policies={"orders-*": strict, "*": lax})
    assert request.policy_for("orders-dlq") is strict
    assert request.policy_for("other-dlq") is lax
    assert DeadLetterRequest(policy=lax, queue_policies={"orders-*": strict}).policy_for("ORDERS-dlq") is lax


@pytest.mark.parametrize(
    ("pattern", "queue", "means_it"),
    [
        ("orders-*", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", True),
        ("arn:aws:sqs:eu-west-1:123456789012:orders-*", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", True),
        ("arn:aws:sqs:*:*:orders-*", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", True),
        ("arn:aws:sqs:eu-*:*:orders-*", "arn:aws:sqs:us-east-1:123456789012:orders-dlq", False),
        ("arn:aws:sqs:eu-west-1:999999999999:orders-*", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", False),
        (
            "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq",
            "arn:aws:sqs:eu-west-1:123456789012:orders-dlq",
            True,
        ),
        ("https://sqs.eu-west-1.amazonaws.com/999999999999/*", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", False),
        ("arn:aws:sqs:eu-west-1:999999999999:orders-*", "orders-dlq", True),
    ],
)
def test_a_policy_means_queues_by_name_url_or_arn(pattern: str, queue: str, *, means_it: bool) -> None:
    """A queue of another account or region is another queue, where both say which."""
    strict, lax = DeadLetterPolicy(max_attempts=1), DeadLetterPolicy(max_attempts=9)
    request = DeadLetterRequest(policy=lax, queue_policies={pattern: strict})
    assert request.policy_for(queue) is (strict if means_it else lax)


def test_a_policy_for_no_queue_is_refused() -> None:
    """A pattern that can never match would leave its queue to another policy, unseen."""
    with pytest.raises(ValidationError, match="queue_policies"):
        DeadLetterRequest.model_validate({"queue_policies": {"orders/dlq": {}}})


def test_a_request_survives_the_form() -> None:
    """A request comes back as it was from the JSON that the UI stores."""
    policy = DeadLetterPolicy(actions={Kind.TIMEOUT: Action.ALERT}, group_actions={"g": Action.LEAVE})
    request = DeadLetterRequest(queues=("a", "b-*"), policy=policy, queue_policies={"a": policy})
    assert DeadLetterRequest.model_validate_json(request.model_dump_json()) == request


def test_a_kind_of_a_rules_file_has_its_own_default_action() -> None:
    """The file's default holds unless the policy names the kind; a form takes its name."""
    kind = Kind("CARRIER_STRIKE")
    assert DeadLetterPolicy().action_for(kind, "depot.strike", "g", kind_action="leave")[0] is Action.LEAVE
    policy = DeadLetterPolicy.model_validate({"actions": {"CARRIER_STRIKE": "alert"}, "rules_file": "rules.yaml"})
    assert policy.action_for(kind, "depot.strike", "g", kind_action="leave")[0] is Action.ALERT
    schema = ReplayRequest.model_json_schema()
    jsonschema.validate({"kinds": ["TIMEOUT", "CARRIER_STRIKE"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kinds": ["a strike"]}, schema)


def test_a_kind_that_no_file_adds_is_refused(tmp_path: Path) -> None:
    """A slip of the pen in `actions` would never match anything."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1\nkinds: {CARRIER_STRIKE: {action: leave}}\nrules:\n"
        "- {id: a.b, kind: CARRIER_STRIKE, names: [Strike], why: x, example: Strike, counter: y}\n"
    )
    check(DeadLetterPolicy.model_validate({"actions": {"CARRIER_STRIKE": "heal"}, "rules_file": str(rules)}))
    with pytest.raises(BadInput, match="actions: TIMEOUTT: expected one of"):
        check(DeadLetterPolicy.model_validate({"actions": {"TIMEOUTT": "heal"}, "rules_file": str(rules)}))
