"""Parts that each path gives the harness: a scene to stage, a run to make, and a check of the outcome in AWS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

import boto3

from blocks.connection import Connection
from proof.crash.process import Kill
from recovery.failures import Evidence, diagnose
from simulated_aws.guard import SIMULATED_CREDENTIALS
from simulated_aws.server import REGION, SimulatedAws

SERVICES = (
    ("sqs", True),
    ("sqs", False),
    ("dynamodb", True),
    ("dynamodbstreams", True),
    ("s3", True),
    ("sns", True),
    ("sns", False),
    ("events", True),
    ("events", False),
    ("stepfunctions", False),
    ("logs", True),
    ("dms", True),
    ("dms", False),
    ("appflow", True),
    ("cloudwatch", False),
)
"""All clients of all paths."""

_owners = count(1)


@dataclass
class Findings:
    """Findings of a check.

    Attributes:
        lost: items that are nowhere, or not where they must be.
        doubled: copies of each item that arrived more than once.
        excess: duplicates beyond those that the path's page declares.
        wrong: all else that must not be: a ledger that contradicts AWS, an alert too many, an attempt too many.
    """

    lost: list[str] = field(default_factory=list)
    doubled: Counter[str] = field(default_factory=Counter)
    excess: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong unless it holds."""
        if not holds:
            self.wrong.append(otherwise)

    def copies(self, arrived: Iterable[str], wanted: Iterable[str], allowed: int) -> None:
        """Everything wanted arrived, nothing else did, and nothing more often than allowed."""
        counted, expected = Counter(arrived), set(wanted)
        self.lost += sorted(expected - set(counted))
        self.wrong += [f"arrived although it should not: {what}" for what in sorted(set(counted) - expected)]
        for what, number in counted.items():
            if number > 1:
                self.doubled[what] = number
            if number > allowed:
                self.excess.append(f"{what}: {number} times, {allowed} declared")

    @property
    def violations(self) -> list[str]:
        """All that must not be."""
        return [f"lost: {each}" for each in self.lost] + [f"excess: {each}" for each in self.excess] + self.wrong

    def __iadd__(self, other: Findings) -> Findings:
        self.lost += other.lost
        self.doubled += other.doubled
        self.excess += other.excess
        self.wrong += other.wrong
        return self


class Unpaced:
    """In place of the pace of a gateway: nobody waits for a token."""

    taken = 0

    def take(self) -> None:
        self.taken += 1

    def rest(self, seconds: float) -> None:
        """Goes on at once."""


class Scene(Protocol):
    """One situation of a path.

    Attributes:
        name: as in the report.
        declared: the duplicate window, in the words of the report.
    """

    name: str
    declared: str

    def stage(self) -> None:
        """Set the scene anew (the parent's process)."""
        ...

    def run(self, connection: Connection) -> object:
        """One run of the path (the child's process)."""
        ...

    def later(self) -> None:
        """Let time pass until everything that a killed run held is free again."""
        ...

    def is_safe(self) -> Findings:
        """At any moment: nothing is lost."""
        ...

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        """Two runs after the kill: everything is where it belongs.

        Args:
            kill: the point at which the first run was killed; None if it was not.
            operations: those that it had carried out by then.
        """
        ...


def connection_to(aws: SimulatedAws) -> Connection:
    """A connection with all its clients made, none of which has been used: for forked processes."""
    session = boto3.Session(
        aws_access_key_id=SIMULATED_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=SIMULATED_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    made = Connection(
        session=session,
        client_settings={"endpoint_url": aws.endpoint, "region_name": REGION},
        ledger_table="unknown",
        archive_bucket="unknown",
        alert_topic_arn="unknown",
        metrics_namespace="Reprise",
    )
    for service, repeat in SERVICES:
        made.client(service, repeat=repeat)
    # The rules are read when the first text is looked at: once here, instead of in every child.
    diagnose(Evidence("HTTP 503 Service Unavailable"))
    return made


def for_one_run(connection: Connection, aws: SimulatedAws) -> Connection:
    """The same clients, in the estate of now, owned by nobody before."""
    return replace(
        connection,
        ledger_table=aws.environment["REPRISE_LEDGER_TABLE"],
        archive_bucket=aws.environment["REPRISE_ARCHIVE_BUCKET"],
        alert_topic_arn=aws.environment["REPRISE_ALERT_TOPIC_ARN"],
        owner=f"run-{next(_owners)}",
    )


def empty(aws: SimulatedAws, table: str) -> None:
    """Remove all items of a table, so that what one point left behind changes nothing for the next."""
    dynamodb = aws.client("dynamodb")
    keys = [key["AttributeName"] for key in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]]
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamodb.delete_item(TableName=table, Key={key: item[key] for key in keys})


def is_open(kill: Kill | None, operations: Sequence[str], opens: str, closes: str, times: int = 1) -> bool:
    """True when the killed run had carried `opens` out, and not yet recorded it by so many requests `closes`."""
    if kill is None or opens not in operations:
        return False
    return operations[operations.index(opens) :].count(closes) < times
