"""The shipped policies are enough for every call, and nothing in them is idle.

The four paths, the smoke test, what people look at and the relay are played against the simulated AWS; each call of
their clients is checked against the statements of the templates: action, resource, conditions, and rights on keys.
"""

from __future__ import annotations

import pytest

from simulated_aws.server import SimulatedAws
from tests.security import policies
from tests.security.calls import Calls, Need
from tests.security.played import relay_calls, worker_calls
from tests.security.policies import Statement, allowed, idle, matches

FOR_TABLES_OF_OTHERS = {("UseTheKeysOfTables", "kms:GenerateDataKey")}
"""DynamoDB itself makes a table's data key; its documentation lists the right for whoever works on such a table."""

QUEUE = f"arn:aws:sqs:{policies.REGION}:{policies.ACCOUNT}:"


@pytest.fixture(scope="module")
def by_worker(simulated_aws: SimulatedAws) -> Calls:
    return worker_calls(simulated_aws)


@pytest.fixture(scope="module")
def by_relay(simulated_aws: SimulatedAws) -> Calls:
    return relay_calls(simulated_aws)


def outside(statements: list[Statement], calls: Calls) -> list[str]:
    """Return the calls that are not allowed."""
    refused = [
        f"{call}: {need.action} on {need.resource} {need.context or ''}"
        for need, call in calls.needs.items()
        if not allowed(statements, need)
    ]
    return sorted(refused) + sorted(f"{call}: nobody wrote down what it needs" for call in calls.unknown)


def test_the_worker_does_nothing_that_its_role_may_not(by_worker: Calls) -> None:
    """Each call of all four paths is inside the policies of estate.yaml and appflow.yaml."""
    assert outside(policies.worker(), by_worker) == []
    assert {service for service, _ in by_worker.made} >= {"sqs", "dynamodb", "s3", "sns", "logs", "dms", "appflow"}


def test_the_relay_does_nothing_that_its_role_may_not(by_relay: Calls) -> None:
    """Each call of the relay is inside the policy of events.yaml."""
    assert outside(policies.relay(), by_relay) == []
    assert {service for service, _ in by_relay.made} == {"sqs", "dynamodb", "dynamodbstreams", "cloudwatch"}


def test_the_worker_has_nothing_of_the_relay_s(by_relay: Calls) -> None:
    """Events and streams are the relay's alone; a role for both gets the relay's policy beside its own, and no more."""
    refused = [need for need in by_relay.needs if not allowed(policies.worker(), need)]
    assert {need.resource for need in refused} >= {policies.EVENTS, policies.PARKED}
    for need in by_relay.needs:
        if need.resource.startswith((policies.EVENTS, f"{policies.OUTBOX}/stream/")):
            assert need in refused
    assert outside([*policies.worker(), *policies.relay()], by_relay) == []


def test_nothing_is_allowed_in_vain(by_worker: Calls, by_relay: Calls) -> None:
    """Every action of every statement was needed, and allowed by that statement."""
    assert idle(policies.relay(), by_relay.needs) == FOR_TABLES_OF_OTHERS
    assert idle(policies.worker(), by_worker.needs) == set()


def test_each_statement_is_missed_when_it_is_gone(by_worker: Calls, by_relay: Calls) -> None:
    """The check sees a policy that lacks a statement, whichever it is."""
    for statements, calls in (
        (policies.worker(), by_worker),
        (policies.relay(), by_relay),
    ):
        for gone in statements:
            rest = [each for each in statements if each is not gone]
            assert outside(rest, calls), gone.sid


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sqs:DeleteMessage", f"{QUEUE}orders"),
        ("sqs:ReceiveMessage", f"{QUEUE}payments"),
        ("sqs:SendMessage", f"{QUEUE}payments"),
        ("sqs:SendMessage", f"{QUEUE}reprise-events"),
        ("sqs:PurgeQueue", f"{QUEUE}orders-dlq"),
        ("s3:DeleteObject", f"{policies.ARCHIVE}/a"),
        ("s3:PutObject", "arn:aws:s3:::big-payloads/k"),
        ("dynamodb:Scan", policies.LEDGER),
        ("dynamodb:PartiQLDelete", policies.OUTBOX),
        ("dynamodb:DeleteItem", policies.OUTBOX),
        ("sns:Publish", f"arn:aws:sns:{policies.REGION}:{policies.ACCOUNT}:payments"),
        ("dms:DeleteReplicationTask", f"arn:aws:dms:{policies.REGION}:{policies.ACCOUNT}:task:A"),
        ("appflow:DeleteFlow", f"arn:aws:appflow:{policies.REGION}:{policies.ACCOUNT}:flow/orders"),
        ("cloudwatch:PutMetricData", "*"),
        ("iam:PassRole", "*"),
    ],
)
def test_what_nobody_may(action: str, resource: str) -> None:
    """Neither role may empty a source, delete what is kept, or touch what it was not given."""
    keys = (("cloudwatch:namespace", "AWS/SQS"),)
    assert not allowed(policies.worker(), Need(action, resource, keys))
    assert not allowed(policies.relay(), Need(action, resource, keys))


def test_patterns_and_denials_are_read_as_iam_reads_them() -> None:
    """Only `*` and `?` are special, a missing key fits no condition, and a denial wins."""
    assert matches("a-*-dlq?", "a-[b]-dlq1")
    assert not matches("a.c", "abc")
    assert not matches("a[b]", "ab")
    need = Need("sqs:SendMessage", "q")
    yes = Statement("yes", True, ("SQS:Send*",), ("*",))
    no = Statement("no", False, ("sqs:SendMessage",), ("q",))
    maybe = Statement("maybe", True, ("*",), ("*",), {"StringEquals": {"kms:ViaService": "x"}})
    assert allowed([yes], need)
    assert not allowed([yes, no], need)
    assert not allowed([maybe], need)
    assert allowed([maybe], Need("a:b", "q", (("kms:ViaService", "x"),)))
