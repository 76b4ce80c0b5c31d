"""The scene of the demo, played without Prefect: it ends as it says, and its check notices what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from demo import outbox_scene
from demo.outbox_scene import BARE, IN_LINE, POISON, OutboxScene
from demo.scenes import DemoFailed, Wiring, World
from recovery.outbox_records.policy import OutboxRequest
from simulated_aws.server import SimulatedAws
from tests.outbox_world import connection_to, play, work_on


class Played:
    """A world whose deployments are the path's own steps."""

    def __init__(self, aws: SimulatedAws) -> None:
        self.aws = aws
        self.stated: list[str] = []
        self.wired = Wiring({})

    def say(self, line: str) -> None:
        self.stated.append(line)

    def pause(self, seconds: float) -> None:
        """Nothing here needs time."""

    def run(self, deployment: str, request: Mapping[str, Any]) -> Any:
        report = play(work_on(connection_to(self.aws), OutboxRequest.model_validate(request), threads=4))
        return SimpleNamespace(
            deployment=deployment, name=str(report.by_action), state="FAILED" if report.failed else "COMPLETED"
        )

    def wait(self, what: str, probe: Callable[[], Any], **_: Any) -> Any:
        """While the scene waits, events start what they start."""
        for _round in range(8):
            if found := probe():
                return found
            self.run("outbox-records/on-insert", self.wired.requests["outbox-records/on-insert"])
        raise DemoFailed(f"waited for {what}")


def drive(scene: OutboxScene, played: World) -> None:
    """As the demo does: wired first."""
    cast(Any, played).wired = scene.wiring(played)
    scene.drive(played)


@pytest.fixture
def played(aws: SimulatedAws) -> World:
    aws.create_estate()
    return cast(World, Played(aws))


def test_the_scene_ends_as_it_says(played: World) -> None:
    """Before: what nobody saw waits. After: each row was received once, the poison row reported; the check agrees."""
    scene = OutboxScene()
    scene.prepare(played)
    before = {row.state: row.count for row in scene.settled(played)}
    assert before == {"not in line yet": len(BARE)}
    drive(scene, played)
    after = {row.state: row.count for row in scene.settled(played)}
    assert after == {outbox_scene.RECEIVED: len(IN_LINE) + len(BARE), outbox_scene.NOTIFIED: 1}
    assert scene.check(played) == []


@pytest.mark.parametrize(
    ("identity", "change", "words"),
    [
        ("order-3", {"status": {"S": "Failure"}}, "order-3: it is Failure"),
        ("order-4", {"outbox_attempts": {"N": "2"}}, "order-4: it took 2 attempts"),
        (POISON, {"status": {"S": "Successful"}}, "too-large: it is Successful"),
    ],
)
def test_the_check_notices_each_way_to_be_wrong(
    played: World, identity: str, change: dict[str, Any], words: str
) -> None:
    """A row in another state, an attempt too many, a message received twice, an alert too many."""
    scene = OutboxScene()
    scene.prepare(played)
    drive(scene, played)
    dynamodb = played.aws.client("dynamodb")
    [(name, value)] = change.items()
    dynamodb.update_item(
        TableName=outbox_scene.TABLE,
        Key={"id": {"S": identity}},
        UpdateExpression="SET #n = :v",
        ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues={":v": value},
    )
    sns = played.aws.client("sns")
    row_id = {"outbox_row_id": {"DataType": "String", "StringValue": "order-1"}}
    topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if t["TopicArn"].endswith(outbox_scene.TOPIC))
    sns.publish(TopicArn=topic, Message="again", MessageAttributes=row_id)
    alerts = played.aws.environment["REPRISE_ALERT_TOPIC_ARN"]
    sns.publish(TopicArn=alerts, Subject=f"Outbox {outbox_scene.TABLE}: exhausted rows", Message="again")
    wrong = scene.check(played)
    assert len(wrong) == 3
    assert any(line.startswith(words) for line in wrong)
    assert any("order-1: the subscriber received it 2 times" in line for line in wrong)
    assert any("2 alerts say" in line for line in wrong)
