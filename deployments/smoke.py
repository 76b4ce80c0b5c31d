"""`reprise smoke`: a few marked failures through the dead-letter path of an estate, and a dry run of each other path.

Three messages are put into a dead-letter queue, each with an error of its own: one that can be healed, one that people
must be notified of, and one that belongs into the archive. A worker runs `dead-letters/by-hand` on it (or this process
does, with --here). Then AWS is asked what became of each.

Without names it makes two queues, reprise-smoke-..., and removes them afterwards; a role that may touch certain queues
only needs --source and --dead-letters. In named queues only the marked messages are put, but the run takes up whatever
lies in the dead-letter queue, as any run does. The other paths run dry (`deployments.dry_runs`), and the output names
what was not tried.

Exit status: 0 when all went as it should; 1 when something did not; 2 when it could not be tried.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from deployments.dry_runs import SWEEPS, RunFailed, by_a_worker, dry_run, in_this_process
from deployments.prefect_settings import require_server
from recovery.aws import calling
from recovery.cases import Case, State
from recovery.errors import BadInput, RepriseError
from recovery.paths import Path

if TYPE_CHECKING:
    from blocks.connection import Connection

MARK = "reprise-smoke"
ERROR = "reprise-smoke-error"
_LOOKS, _LOOK_SECONDS = 30, 2.0

FAILURES = {
    "healed": "TimeoutError: the read of the price service timed out after 30 s",
    "alerted": "AccessDeniedException: User is not authorized to perform: dynamodb:PutItem",
    "archived": "ValidationError: 1 validation error for Order: quantity: Input should be greater than 0",
}
"""The consumer's error for each message, by the message's expected end."""
NOT_TRIED = "rights on your own queues and their logs; the relay (its GET /health answers for it)"


@dataclass(frozen=True)
class Queues:
    """A queue and its dead-letter queue.

    Attributes:
        source, dead: their names.
        own: True when this program made them; nobody else takes from them.
    """

    source: str
    dead: str
    own: bool


def smoke(
    connection: Connection, queues: Queues, run: Callable[[dict[str, Any]], None], sleep: Callable[[float], object]
) -> dict[str, str]:
    """Send, run, and ask AWS; what is not as it should be, by message (empty when all is well).

    Args:
        connection: to the estate.
        queues: the pair to use.
        run: carries the recovery out.
        sleep: time between two reads, in seconds: counts of queues lag behind in AWS.

    Raises:
        RepriseError: AWS refused or did not answer, or the run failed.
    """
    ids = _send(connection, queues)
    run(
        {
            "queues": [queues.dead],
            "dry_run": False,
            # The alerts of all queues share their groups, and each test wants one of its own.
            "policy": {"error_attributes": [ERROR], "destination": queues.source, "alert_window_seconds": 60},
        }
    )
    wrong = {}
    cases = connection.ledger.read_cases("dead_letters", ids.values())
    for message, state in (("alerted", State.PARKED), ("archived", State.ARCHIVED)):
        case = cases.get(ids[message])
        if case is None:
            wrong[message] = "the ledger knows nothing of it"
        elif case.state is not state:
            wrong[message] = f"its case is {case.state.value!r} and not {state.value!r}: {case.reason}"
        elif not _in_archive(connection, case.detail, ids[message]):
            wrong[message] = "its original is not where the ledger says, in the archive"
        elif message == "alerted" and not _is_announced(connection, case):
            wrong[message] = "it is archived, and nobody was notified"
    healed = cases.get(ids["healed"])
    if healed and healed.state in (State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.STALE):
        wrong["healed"] = f"its case is {healed.state.value!r}: {healed.reason}"
    elif queues.own and not _arrives(connection, queues.source, sleep):
        wrong["healed"] = f"it did not come back to {queues.source}"
    for case in cases.values():
        if case.state in (State.PARKED, State.ARCHIVED):  # nobody has to look after a message of ours
            connection.ledger.change_case(replace(case, state=State.SUPERSEDED), expected=case)
    return wrong


def _is_announced(connection: Connection, case: Case) -> bool:
    home = str(case.detail.get("arn", "")).rpartition(":")[0]
    return connection.alerts.is_announced("dead_letters", home, case.group)


@contextlib.contextmanager
def queues_of(connection: Connection, source: str, dead: str) -> Iterator[Queues]:
    """The named queues, or two of our own that are removed at the end.

    Raises:
        BadInput: only one is named.
        RepriseError: they could not be made.
    """
    if source and dead:
        yield Queues(source, dead, own=False)
        return
    if source or dead:
        raise BadInput("name both, --source and --dead-letters, or neither")
    sqs, name = connection.client("sqs"), f"{MARK}-{uuid4().hex[:8]}"
    tags = {"reprise": MARK}
    made: list[str] = []
    try:
        with calling("sqs:CreateQueue"):
            made.append(sqs.create_queue(QueueName=f"{name}-dlq", tags=tags)["QueueUrl"])
            with calling("sqs:GetQueueAttributes"):
                found = sqs.get_queue_attributes(QueueUrl=made[0], AttributeNames=["QueueArn"])["Attributes"]
            policy = json.dumps({"deadLetterTargetArn": found["QueueArn"], "maxReceiveCount": 1})
            attributes = {"RedrivePolicy": policy}
            made.append(sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags)["QueueUrl"])
        yield Queues(name, f"{name}-dlq", own=True)
    finally:
        for url in made:
            with calling("sqs:DeleteQueue"):
                sqs.delete_queue(QueueUrl=url)


def main(*, source: str = "", dead_letters: str = "", estate: str = "", here: bool = False) -> int:
    """Send a few marked failures through the dead-letter path, ask AWS what became of each, and run the others dry.

    Args:
        source: name of a queue whose consumer ignores marked messages; a new one when empty.
        dead_letters: name of its dead-letter queue.
        estate: name of a Recovery Estate block; the default one when empty.
        here: run the flow in this process, without a worker.

    Returns:
        The exit status.
    """
    try:
        require_server()
        from blocks.estate import connect
        from deployments.subscribers import nobody_subscribed

        connection = connect(estate or None)
        run = in_this_process if here else by_a_worker
        named = {"estate": estate} if estate else {}
        with queues_of(connection, source, dead_letters) as queues:
            print(f"sending {len(FAILURES)} marked messages to {queues.dead}", flush=True)
            wrong = smoke(
                connection, queues, lambda request: run(Path.DEAD_LETTERS, request | named), threading.Event().wait
            )
        for message in FAILURES:
            print(f"{message}: {wrong.get(message, 'yes')}")
        bad = bool(wrong)
        for path in SWEEPS:
            line, well = dry_run(run, path, named)
            print(f"{path}: {line}")
            bad = bad or not well
        print(f"not tried: {NOT_TRIED}")
    except RunFailed as error:
        print(error, file=sys.stderr)
        return 1
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 2
    except Exception as error:
        import httpx
        from prefect.exceptions import PrefectException

        if not isinstance(error, httpx.HTTPError | PrefectException):
            raise
        trouble = f"did not carry the request out: {error}"
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403):
            trouble = f"answered {error.response.status_code}: set PREFECT_API_AUTH_STRING to its user:password"
        print(f"the Prefect server {trouble}", file=sys.stderr)
        return 2
    try:
        nobody = nobody_subscribed(connection)
    except RepriseError as error:
        nobody = ""
        print(f"subscribers of the alert topic could not be counted: {error}")
    if nobody:
        print(nobody)
    bad = bad or bool(nobody)
    print("not as it should be" if bad else "all as it should be")
    return int(bad)


def _send(connection: Connection, queues: Queues) -> dict[str, str]:
    """Put the messages into the dead-letter queue; returns their message ids."""
    sqs, mark = connection.client("sqs"), uuid4().hex
    with calling("sqs:GetQueueUrl"):
        url = sqs.get_queue_url(QueueName=queues.dead)["QueueUrl"]
    ids = {}
    for message, error in FAILURES.items():
        body = json.dumps({MARK: mark, "message": message})
        attribute = {"StringValue": error, "DataType": "String"}
        with calling("sqs:SendMessage"):
            answer = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes={ERROR: attribute})
        ids[message] = answer["MessageId"]
    return ids


def _in_archive(connection: Connection, detail: Mapping[str, Any], message_id: str) -> bool:
    from recovery.archive import Pointer

    raw = detail.get("archive")
    if not raw:
        return False
    pointer = Pointer.from_json(raw)
    record = connection.archive.read_bundle(pointer.key)[pointer.line]
    return MARK in json.dumps(record) and message_id in json.dumps(record)


def _arrives(connection: Connection, queue: str, sleep: Callable[[float], object]) -> bool:
    """True when a message lies in a queue that nobody takes from, delayed or not."""
    sqs = connection.client("sqs")
    names = [f"ApproximateNumberOfMessages{which}" for which in ("", "Delayed", "NotVisible")]
    with calling("sqs:GetQueueUrl"):
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    for _ in range(_LOOKS):
        with calling("sqs:GetQueueAttributes"):
            counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if sum(int(counts[name]) for name in names):
            return True
        sleep(_LOOK_SECONDS)
    return False
