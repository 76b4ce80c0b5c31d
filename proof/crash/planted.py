"""Defects planted on purpose: a harness that finds nothing proves nothing."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import mock

from blocks.connection import Connection
from proof.crash.dead_letters_scenes import Due, Messages
from proof.crash.outbox_scenes import Outbox
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.send_intents import SendIntents
from recovery.outbox_records.verdicts import Action
from simulated_aws.server import SimulatedAws
from tasks import outbox_records as steps
from tests.outbox_world import TABLE


class RemovesFirst(Messages):
    """Messages are removed as soon as they were received, as a careless consumer does it."""

    shows: ClassVar[str] = "lost: "

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "messages removed before they are safe"

    def run(self, connection: Connection) -> list[str]:
        receive = Sqs.receive

        def removing(sqs: Any, queue: Any, *args: Any, **kwargs: Any) -> Any:
            messages = receive(sqs, queue, *args, **kwargs)
            if messages:
                sqs.delete(queue, messages)
            return messages

        with mock.patch.object(Sqs, "receive", removing):
            return super().run(connection)


class WritesNothingAhead(Due):
    """Sends are not written down before they are made, so a crash after a send gives it a fresh attempt."""

    shows: ClassVar[str] = "attempts of messages"

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "sends that are not written ahead"

    def stage(self) -> None:
        Messages.stage(self)

    def run(self, connection: Connection) -> list[str]:
        with mock.patch.object(SendIntents, "open", return_value=None):
            return Messages.run(self, connection)

    def is_done(self, kill: Any, operations: Any) -> Any:
        return Messages.is_done(self, kill, operations)


class MarksFirst(Outbox):
    """Rows say that they were sent before they are."""

    shows: ClassVar[str] = "which says that it was sent"

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws)
        self.name = "rows marked before they are out"

    def run(self, connection: Connection) -> list[str]:
        claim, dynamodb = steps.claim_rows.fn, connection.client("dynamodb")

        def marking(work: Any, round_: Any) -> None:
            claim(work, round_)
            for each in round_.of(Action.DELIVER):
                dynamodb.update_item(
                    TableName=TABLE,
                    Key=dict(each.row.key),
                    UpdateExpression="SET #s = :s REMOVE outbox_line",
                    ExpressionAttributeNames={"#s": "status"},
                    ExpressionAttributeValues={":s": {"S": "Successful"}},
                )

        with mock.patch.object(steps.claim_rows, "fn", marking):
            return super().run(connection)


DEFECTS = (RemovesFirst, WritesNothingAhead, MarksFirst)
