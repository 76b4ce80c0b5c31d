"""Puts orders into a queue: `python -m demo.workload.produce --count 40`, or `--serve --port 8080`.

    POST /orders   an order as JSON, a list of orders, or {"count": 40}; answers with the message ids
    GET  /ready    200

The endpoint takes what it is sent, as checkouts do: whether an order can be carried out is the consumer's business.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import boto3

from demo.workload.orders import ACCOUNTS, bodies
from simulated_aws.guard import require_simulated_aws

TRACE = "Root=1-{0:08x}-{1}"


def send(sqs: Any, queue_url: str, texts: Iterable[str]) -> list[str]:
    """Send bodies, ten at a time, and return their message ids.

    Each carries what producers add: an attribute with the channel, a trace header, and on a FIFO queue a group (the
    account, as far as the body names them) and a deduplication id.

    Raises:
        RuntimeError: SQS did not take one of them.
    """
    ids: list[str] = []
    everything = list(texts)
    for first in range(0, len(everything), 10):
        entries = [_entry(str(at), text, queue_url) for at, text in enumerate(everything[first : first + 10])]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if failed := answer.get("Failed"):
            raise RuntimeError(f"{len(failed)} orders were not taken: {failed[0]['Message']}")
        sent = {done["Id"]: done["MessageId"] for done in answer["Successful"]}
        ids += [sent[entry["Id"]] for entry in entries]
    return ids


def _entry(entry_id: str, text: str, queue_url: str) -> dict[str, Any]:
    trace = {"DataType": "String", "StringValue": TRACE.format(len(text), uuid4().hex[:24])}
    entry: dict[str, Any] = {
        "Id": entry_id,
        "MessageBody": text,
        "MessageAttributes": {"channel": {"DataType": "String", "StringValue": "web"}},
        "MessageSystemAttributes": {"AWSTraceHeader": trace},
    }
    if queue_url.endswith(".fifo"):
        group = next((account for account in ACCOUNTS if f'"{account}"' in text), "unknown")
        entry |= {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex}
    return entry


def endpoint(sqs: Any, queue_url: str, port: int) -> ThreadingHTTPServer:
    """The HTTP endpoint on 127.0.0.1; the caller runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200 if self.path == "/ready" else 404, {})

        def do_POST(self) -> None:
            read = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/orders":
                self._answer(404, {})
                return
            try:
                texts = _wanted(json.loads(read))
            except (ValueError, TypeError) as mistake:
                self._answer(400, {"error": str(mistake)})
                return
            self._answer(202, {"message_ids": send(sqs, queue_url, texts)})

        def _answer(self, status: int, data: Any) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    return Server(("127.0.0.1", port), Handler)


def _wanted(data: Any) -> list[str]:
    if isinstance(data, dict) and set(data) == {"count"}:
        return list(bodies(int(data["count"])))
    orders = data if isinstance(data, list) else [data]
    return [json.dumps(order, separators=(",", ":")) for order in orders]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.workload.produce")
    parser.add_argument("--queue", default="orders", help="name of the queue (default: %(default)s)")
    parser.add_argument("--count", type=int, default=40, help="how many orders (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives other orders")
    parser.add_argument("--serve", action="store_true", help="take orders over HTTP instead")
    parser.add_argument("--port", type=int, default=0, help="of --serve; a free one by default")
    options = parser.parse_args(arguments)
    require_simulated_aws()
    sqs: Any = boto3.Session().client("sqs")
    queue_url = sqs.get_queue_url(QueueName=options.queue)["QueueUrl"]
    if not options.serve:
        print(f"{len(send(sqs, queue_url, bodies(options.count, options.seed)))} orders sent to {options.queue}")
        return
    with endpoint(sqs, queue_url, options.port) as listening:
        print(f"orders are taken at http://127.0.0.1:{listening.server_port}/orders", flush=True)
        listening.serve_forever()


if __name__ == "__main__":
    main()
