"""`reprise sample send` lets orders of the sample workload fail; `reprise sample verify` says what became of each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from deployments.person import connect
from recovery.aws import calling
from recovery.cases import Case, State
from recovery.errors import BadInput, Refused, Transient
from recovery.paths import Path

if TYPE_CHECKING:
    from blocks.connection import Connection

STACK = "sample-workload"
_SENT, _SERVICE = "sent", "price-service"


def send(*, count: int = 10, away_seconds: int = 180, stack: str = STACK, api_url: str = "", estate: str = "") -> int:
    """Send orders through the HTTP API while their price service is away, and one that was cut off on its way.

    Args:
        count: number of orders.
        away_seconds: time until the price service answers again; longer than the queue's receives take.
        stack: name of the stack of sample-workload.yaml.
        api_url: address of the HTTP API; the stack's own when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    connection = connect(estate)
    outputs = _outputs(connection, stack)
    url = api_url or outputs["ApiUrl"]
    table = outputs["OrdersTableName"]
    _put(connection, table, {"id": {"S": _SERVICE}, "away_until": {"N": str(int(time.time()) + away_seconds)}})
    orders = [f"order-{uuid4().hex[:12]}" for _ in range(count)]
    sent = {order: _post(connection, url, json.dumps({"order_id": order})) for order in orders}
    cut = _post(connection, url, '{"order_id": "order-')
    _put(connection, table, {"id": {"S": _SENT}, "orders": {"S": json.dumps(sent)}, "cut_off": {"S": cut}})
    print(f"sent {count} orders, and one that was cut off; their price service is away for {away_seconds} s")
    return 0


def verify(*, stack: str = STACK, estate: str = "") -> int:
    """Say what became of each order that was sent last, by the consumer's own record and the ledger. Only reads.

    Args:
        stack: name of the stack of sample-workload.yaml.
        estate: name of a Recovery Estate block; the default one when empty.

    Returns:
        The exit status: 0 when each order was carried out once and the one that was cut off lies in the archive.
    """
    connection = connect(estate)
    table = _outputs(connection, stack)["OrdersTableName"]
    last = _get(connection, table, _SENT)
    if not last:
        raise BadInput(f"stack: no orders were sent to {stack!r}: reprise sample send")
    ends = [_end(connection, table, order, sent) for order, sent in json.loads(last["orders"]["S"]).items()]
    case = _case(connection, last["cut_off"]["S"])
    well = case is not None and case.state is State.ARCHIVED
    ends.append((well, f"the order that was cut off: {_known(case)}"))
    for well, line in ends:
        print(("" if well else "not yet: ") + line)
    return int(not all(well for well, _ in ends))


def _end(connection: Connection, table: str, order: str, sent: str) -> tuple[bool, str]:
    """True for an order that was carried out once, and what became of it."""
    record = _get(connection, table, f"order#{order}")
    if not record:
        return False, f"{order}: {_known(_case(connection, sent))}"
    if (times := record["deliveries"]["N"]) != "1":
        return False, f"{order}: carried out {times} times"
    if (message := record["message_id"]["S"]) == sent:
        return True, f"{order}: carried out at once"
    case = _case(connection, message)
    healed = case is not None and case.state in (State.SENT, State.RECOVERED)
    return healed, f"{order}: carried out as message {message}: {_known(case)}"


def _case(connection: Connection, message: str) -> Case | None:
    return connection.ledger.read_cases(Path.DEAD_LETTERS, [message]).get(message)


def _known(case: Case | None) -> str:
    if case is None:
        return "the ledger knows nothing of it"
    return f"{case.state.value} at attempt {case.attempts}, {case.kind}"


def _post(connection: Connection, url: str, body: str) -> str:
    """The message id of an order that the HTTP API took; requests are signed, since the route asks for IAM."""
    session = connection.session
    if (credentials := session.get_credentials()) is None:
        raise BadInput("there are no AWS credentials to sign requests with")
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(credentials, "execute-api", session.region_name).add_auth(request)
    try:
        answer = httpx.post(url, content=body, headers=dict(request.headers.items()), timeout=30)
    except httpx.HTTPError as error:
        raise Transient(f"{url} does not answer: {error}") from error
    if answer.status_code != 202:
        raise Refused(f"{url} answered {answer.status_code}: {answer.text[:200]}")
    return str(answer.json()["message_id"])


def _outputs(connection: Connection, stack: str) -> dict[str, str]:
    with calling("cloudformation:DescribeStacks"):
        described = connection.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    found = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    if "ApiUrl" not in found:
        raise BadInput(f"stack: {stack!r} has no HTTP API: deploy it with RunFunctions=yes")
    return found


def _put(connection: Connection, table: str, item: dict[str, dict[str, str]]) -> None:
    with calling("dynamodb:PutItem"):
        connection.client("dynamodb").put_item(TableName=table, Item=item)


def _get(connection: Connection, table: str, key: str) -> dict[str, dict[str, str]]:
    with calling("dynamodb:GetItem"):
        answer = connection.client("dynamodb").get_item(TableName=table, Key={"id": {"S": key}}, ConsistentRead=True)
    found: dict[str, dict[str, str]] = answer.get("Item", {})
    return found
