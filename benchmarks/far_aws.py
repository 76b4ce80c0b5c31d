"""An AWS that is far away: it answers correctly after a fixed time, and takes next to no processor time for that.

The simulated AWS does all its work on the processors that the benchmark also needs. This stub holds queues and one
table in plain dictionaries and lets time pass instead, as a call over a network does; whatever a run takes beyond
the answers' latency is its own. It knows only what the dead-letter path and its baselines ask for:

    with started(latency=0.015) as aws:
        fill(aws, 2000)

`aws` is the remote control of `simulated_aws.server`, so a benchmark need not know which AWS it measures with.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from benchmarks.traffic import message
from simulated_aws.process import listen
from simulated_aws.server import SimulatedAws

Json = dict[str, Any]
ACCOUNT = "000000000000"
ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:"
SERVICES = {"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb", "GraniteServiceVersion20100801": "monitoring"}
"""The services as requests are signed for, by what requests call them."""
ESTATE = {
    "REPRISE_LEDGER_TABLE": "reprise-ledger",
    "REPRISE_ARCHIVE_BUCKET": "reprise-archive",
    "REPRISE_ALERT_TOPIC_ARN": f"arn:aws:sns:us-east-1:{ACCOUNT}:reprise-alerts",
}


@contextmanager
def started(latency: float) -> Iterator[SimulatedAws]:
    """Start one in a process of its own; it ends with the block.

    Args:
        latency: seconds from a request to its answer.
    """
    command = [sys.executable, "-m", "benchmarks.far_aws", str(latency)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            aws = SimulatedAws(f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}")
            aws.environment |= ESTATE
            yield aws
        finally:
            process.kill()
            process.wait()


def fill(aws: SimulatedAws, count: int) -> None:
    """Put dead letters of the queue `orders` into `orders-dlq`, and forget everything else."""
    aws.control("POST", "fill", {"count": count})


class Queue:
    """A standard queue: visibility, delays, and attributes as SQS gives them."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.url = f"{address}/{ACCOUNT}/{name}"
        self.messages: dict[str, Json] = {}
        self._ready: deque[str] = deque()
        self._later: list[tuple[float, str]] = []

    def put(self, message: Json, delay: float = 0) -> str:
        """Take a message in; returns its id."""
        message_id = str(uuid4())
        stamp = str(int(time.time() * 1000))
        message["Attributes"] = {"SentTimestamp": stamp, "ApproximateReceiveCount": "0", **message["Attributes"]}
        self.messages[message_id] = {"MessageId": message_id, **message}
        self._hide(message_id, delay)
        return message_id

    def receive(self, most: int, seconds: float) -> list[Json]:
        """Hand out messages and hide them."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[1])
        found: list[Json] = []
        while self._ready and len(found) < most:
            message = self.messages.get(self._ready.popleft())
            if message is not None:
                self._hide(message["MessageId"], seconds)
                found.append({**message, "ReceiptHandle": message["MessageId"]})
        return found

    def counted(self) -> Json:
        """Its attributes."""
        visible = sum(message_id in self.messages for message_id in self._ready)
        return {
            "QueueArn": ARN + self.name,
            "MessageRetentionPeriod": "1209600",
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(len(self.messages) - visible),
        }

    def _hide(self, message_id: str, seconds: float) -> None:
        if seconds:
            heapq.heappush(self._later, (time.monotonic() + seconds, message_id))
        else:
            self._ready.append(message_id)


class FarAws:
    """Its queues and table, and an answer for each operation that is asked of it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.counts: Counter[str] = Counter()
        self.queues: dict[str, Queue] = {}
        self.items: dict[str, dict[str, Json]] = {}
        self.fill(0)

    def fill(self, count: int) -> None:
        """Start anew, with so many dead letters."""
        self.items = {}
        self.queues = {name: Queue(name, self.address) for name in ("orders", "orders-dlq")}
        for n in range(count):
            body, attributes = message(n)
            system = {"DeadLetterQueueSourceArn": ARN + "orders"}
            self.queues["orders-dlq"].put({"Body": body, "MessageAttributes": attributes, "Attributes": system})

    def answer(self, operation: str, asked: Json) -> Json:
        """AWS's answer to one request."""
        known: Callable[[Json], Json] = getattr(self, operation)
        return known(asked)

    def _queue(self, asked: Json) -> Queue:
        return self.queues[asked["QueueUrl"].rsplit("/", 1)[1]]

    def GetQueueUrl(self, asked: Json) -> Json:  # noqa: N802 - the operations have AWS's names
        return {"QueueUrl": self.queues[asked["QueueName"]].url}

    def GetQueueAttributes(self, asked: Json) -> Json:  # noqa: N802
        return {"Attributes": self._queue(asked).counted()}

    def ListDeadLetterSourceQueues(self, _: Json) -> Json:  # noqa: N802
        return {"queueUrls": [self.queues["orders"].url]}

    def ReceiveMessage(self, asked: Json) -> Json:  # noqa: N802
        found = self._queue(asked).receive(asked.get("MaxNumberOfMessages", 1), asked.get("VisibilityTimeout", 30))
        return {"Messages": found} if found else {}

    def SendMessage(self, asked: Json) -> Json:  # noqa: N802
        return {"MessageId": self._sent(self._queue(asked), asked), "MD5OfMessageBody": ""}

    def SendMessageBatch(self, asked: Json) -> Json:  # noqa: N802
        queue = self._queue(asked)
        done = [{"Id": e["Id"], "MessageId": self._sent(queue, e), "MD5OfMessageBody": ""} for e in asked["Entries"]]
        return {"Successful": done, "Failed": []}

    def _sent(self, queue: Queue, entry: Json) -> str:
        message = {"Body": entry["MessageBody"], "MessageAttributes": entry.get("MessageAttributes", {})}
        return queue.put({**message, "Attributes": {}}, entry.get("DelaySeconds", 0))

    def DeleteMessage(self, asked: Json) -> Json:  # noqa: N802
        self._queue(asked).messages.pop(asked["ReceiptHandle"], None)
        return {}

    def DeleteMessageBatch(self, asked: Json) -> Json:  # noqa: N802
        for entry in asked["Entries"]:
            self._queue(asked).messages.pop(entry["ReceiptHandle"], None)
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    def _write(self, item: Json) -> None:
        self.items.setdefault(item["pk"]["S"], {})[item["sk"]["S"]] = item

    def _read(self, key: Json) -> Json | None:
        return self.items.get(key["pk"]["S"], {}).get(key["sk"]["S"])

    def PutItem(self, asked: Json) -> Json:  # noqa: N802
        self._write(asked["Item"])  # no condition of a benchmark fails: one process writes its records
        return {}

    def GetItem(self, asked: Json) -> Json:  # noqa: N802
        item = self._read(asked["Key"])
        return {"Item": item} if item else {}

    def BatchGetItem(self, asked: Json) -> Json:  # noqa: N802
        found = {
            table: [item for key in wanted["Keys"] if (item := self._read(key))]
            for table, wanted in asked["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def BatchWriteItem(self, asked: Json) -> Json:  # noqa: N802
        for writes in asked["RequestItems"].values():
            for write in writes:
                if "PutRequest" in write:
                    self._write(write["PutRequest"]["Item"])
                else:
                    key = write["DeleteRequest"]["Key"]
                    self.items.get(key["pk"]["S"], {}).pop(key["sk"]["S"], None)
        return {"UnprocessedItems": {}}

    def PutMetricData(self, _: Json) -> Json:  # noqa: N802
        return {}

    def Query(self, asked: Json) -> Json:  # noqa: N802
        if "IndexName" in asked:
            return {"Items": [], "Count": 0}  # nothing waits for a person here
        values = asked["ExpressionAttributeValues"]
        most = values[":sk"]["S"] if ":sk" in values else "\uffff"
        partition = self.items.get(values[":pk"]["S"], {})
        return {"Items": [partition[sk] for sk in sorted(partition) if sk <= most]}

    def control(self, method: str, path: str, asked: Json) -> object:
        """The part of the simulated AWS's control plane that benchmarks use."""
        if path == "fill":
            self.fill(asked["count"])
        elif path.startswith("messages"):
            return [{"id": message_id} for message_id in self.queues[path.rsplit("=", 1)[1]].messages]
        elif path == "requests?counts=1":
            return dict(self.counts)
        elif method == "DELETE" and path == "requests":
            self.counts.clear()
        return None


class Connection(asyncio.Protocol):
    """One connection: a request, its effect at once, its answer later, and the next request."""

    def __init__(self, aws: FarAws, latency: float) -> None:
        self._aws = aws
        self._latency = latency
        self._data = b""
        self._head: tuple[str, str, dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._head is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            first, *lines = self._data[:end].decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self._head = method, path, headers
            self._data = self._data[end + 4 :]
            if "expect" in headers:
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, headers = self._head
        length = int(headers.get("content-length", "0"))
        if len(self._data) < length:
            return
        body, self._data, self._head = self._data[:length], self._data[length:], None
        self._answer(method, path, headers, body)

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        kind = "application/x-amz-json-1.0"
        if path.startswith("/_reprise/"):
            answer = json.dumps(self._aws.control(method, path.removeprefix("/_reprise/"), json.loads(body or b"{}")))
            self._reply(kind, answer.encode())
            return
        target = headers.get("x-amz-target", "")
        if target:
            service, operation = target.split(".")
            self._aws.counts[f"{SERVICES.get(service, service)}:{operation}"] += 1
            answer = json.dumps(self._aws.answer(operation, json.loads(body)))
        else:  # an object for S3, which is kept nowhere
            self._aws.counts["s3:PutObject"] += 1
            kind, answer = "application/xml", ""
        asyncio.get_running_loop().call_later(self._latency, self._reply, kind, answer.encode())

    def _reply(self, kind: str, body: bytes) -> None:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nDate: {date}\r\n"
        self._write((head + "\r\n").encode() + body)

    def _write(self, data: bytes) -> None:
        if isinstance(self._transport, asyncio.Transport) and not self._transport.is_closing():
            self._transport.write(data)


async def serve(latency: float) -> None:
    """Serve as long as somebody holds the other end of the standard input."""
    listening = listen()
    port = listening.getsockname()[1]
    aws = FarAws(f"http://127.0.0.1:{port}")
    server = await asyncio.get_running_loop().create_server(lambda: Connection(aws, latency), sock=listening)
    print(json.dumps({"port": port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the process that started it ends
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
