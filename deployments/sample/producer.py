"""POST /orders: the body becomes a message, as it is. Runs as a Lambda function behind an HTTP API (payload 2.0)."""

import base64
import json
import os
from typing import Any

import boto3


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    body = event.get("body") or ""
    try:
        # An HTTP API encodes every body whose content type is not text: curl's default is none.
        text = base64.b64decode(body).decode() if event.get("isBase64Encoded") else body
    except ValueError:
        text = ""
    if not text:
        return answer(400, {"error": "the body must be an order, as text"})
    sent = boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=text)
    return answer(202, {"message_id": sent["MessageId"]})


def answer(status: int, content: dict[str, str]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(content)}
