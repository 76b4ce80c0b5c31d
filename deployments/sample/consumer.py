"""Orders of a queue are carried out and recorded in a table. Runs as a Lambda function with partial batch responses.

The price service that each order needs is away until the time that the table's item `price-service` names.
"""

import json
import logging
import os
import time
from typing import Any

import boto3

log = logging.getLogger()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
    failed = []
    for record in event["Records"]:
        try:
            carry_out(table, record)
        except Exception:
            log.exception("order failed messageId=%s", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def carry_out(table: Any, record: dict[str, Any]) -> None:
    order = json.loads(record["body"])
    service = table.get_item(Key={"id": "price-service"}).get("Item", {})
    if time.time() < service.get("away_until", 0):
        raise TimeoutError("the price service did not answer within 3 s")
    # A duplicate changes nothing but its count.
    table.update_item(
        Key={"id": "order#" + order["order_id"]},
        UpdateExpression="SET message_id = if_not_exists(message_id, :message) ADD deliveries :one",
        ExpressionAttributeValues={":message": record["messageId"], ":one": 1},
    )
