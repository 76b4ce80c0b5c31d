"""Situations in a consumer's log: which failure is whose, and where nobody can tell."""

# Lines of logs stand as they are written.
# ruff: noqa: E501

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from recovery.failures import LogEvent, LoggedMessage, diagnose, failures_of

A = "0a4be3d2-11aa-4c0e-9a3c-000000000a01"
B = "0b4be3d2-22bb-4c0e-9a3c-000000000b02"
C = "0c4be3d2-33cc-4c0e-9a3c-000000000c03"
ELSE = "0e4be3d2-99ee-4c0e-9a3c-000000000e09"
R1 = "7f0f1e9a-aaaa-4aaa-8aaa-0000000000f1"
R2 = "7f0f1e9a-bbbb-4bbb-8bbb-0000000000f2"
R3 = "7f0f1e9a-cccc-4ccc-8ccc-0000000000f3"
HANDLE = "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a3f4h5j6k7l8m9n0bcdefghijklmnop=="


@dataclass(frozen=True)
class Case:
    """A log and what it tells: kinds by message, None where it tells nothing."""

    name: str
    wanted: dict[str, str | None]
    lines: tuple[str, ...]
    step: int = 20
    messages: tuple[LoggedMessage, ...] = field(default=())


def start(request: str) -> str:
    return f"START RequestId: {request} Version: $LATEST"


def end(request: str) -> str:
    return f"END RequestId: {request}"


def report(request: str, more: str = "") -> str:
    return f"REPORT RequestId: {request}\tDuration: 812.33 ms\tBilled Duration: 813 ms\tMemory Size: 256 MB\tMax Memory Used: 91 MB\t{more}"


def node(request: str, level: str, text: str) -> str:
    return f"2026-02-03T09:15:00.000Z\t{request}\t{level}\t{text}"


def js(**fields: object) -> str:
    return json.dumps(fields)


def event(*ids: str, body: str = '{"note":"card declined, upstream timed out"}') -> str:
    return json.dumps({"Records": [{"messageId": one, "receiptHandle": "AQEB", "body": body} for one in ids]})


CASES = (
    Case(
        "an event dumped at INFO, then a bug",
        {A: "CODE_BUG"},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A)),
            node(R1, "ERROR", "Invoke Error \t" + js(errorType="TypeError", errorMessage="x.map is not a function")),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "an event printed by Python without a level, then a traceback of one line an event",
        {A: "VALIDATION_ERROR"},
        (
            start(R1),
            "{'Records': [{'messageId': '" + A + "', 'body': 'connection timed out'}]}",
            "[ERROR] ValueError: quantity must be positive",
            "Traceback (most recent call last):",
            '\xa0\xa0File "/var/task/app.py", line 9, in handler',
            "\xa0\xa0\xa0\xa0check(order)",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "a container writes a Java trace as one event a line",
        {A: "DEPENDENCY_FAILURE"},
        (
            f"2026-02-03 09:15:00.120  INFO 1 --- [ntainer#0-0] c.d.Inbox : received {A}",
            "2026-02-03 09:15:00.140 ERROR 1 --- [ntainer#0-0] c.d.Inbox : could not store parcel",
            "",
            "org.springframework.dao.DataAccessResourceFailureException: Failed to obtain JDBC Connection",
            "\tat org.springframework.jdbc.X.y(X.java:1)",
            "Caused by: java.net.ConnectException: Connection refused",
            "\tat java.base/sun.nio.ch.Net.connect0(Native Method)",
            "\t... 12 more",
            "2026-02-03 09:15:00.300  INFO 1 --- [ntainer#0-0] c.d.Inbox : polling",
        ),
    ),
    Case(
        "a Go program panics, one event a line",
        {A: "CODE_BUG"},
        (
            js(level="info", ts=1, msg="handling", messageId=A),
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x6f1c2a]",
            "",
            "goroutine 41 [running]:",
            "main.(*Inbox).handle(0xc0001a2000, {0xc000012345, 0x24})",
            "\t/src/inbox.go:71 +0x1b4",
            "created by main.main",
            "\t/src/main.go:20 +0x7c",
            "exit status 2",
        ),
    ),
    Case(
        "a Rust program panics, one event a line",
        {A: "BAD_PAYLOAD"},
        (
            f"2026-02-03T09:15:00.120Z  INFO depot::inbox: handling message_id={A}",
            "thread 'tokio-runtime-worker' panicked at src/inbox.rs:71:10:",
            'called `Result::unwrap()` on an `Err` value: Error("EOF while parsing a string", line: 1, column: 90)',
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        ),
    ),
    Case(
        "a Node program dies of an uncaught error, one event a line",
        {A: "TIMEOUT"},
        (
            f"handling {A}",
            "/srv/depot/inbox.js:40",
            "        throw error;",
            "        ^",
            "",
            "Error: connect ETIMEDOUT 10.1.2.3:5432",
            "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {",
            "  errno: -110,",
            "  code: 'ETIMEDOUT',",
            "}",
            "",
            "Node.js v20.11.1",
        ),
    ),
    Case(
        ".NET with an inner exception, one event a line",
        {A: "TIMEOUT"},
        (
            "info: Depot.Inbox[0]",
            f"      Handling {A}",
            "fail: Depot.Inbox[0]",
            "      Could not handle the message",
            "      System.InvalidOperationException: Tariff could not be read",
            "       ---> System.TimeoutException: The operation has timed out.",
            "         at Depot.Tariffs.Read() in /src/Tariffs.cs:line 19",
            "         --- End of inner exception stack trace ---",
            "         at Depot.Inbox.Run() in /src/Inbox.cs:line 40",
        ),
    ),
    Case(
        "Python's chain, one event a line",
        {A: "THROTTLED"},
        (
            f"2026-02-03 09:15:00,120 - depot - INFO - handling {A}",
            "2026-02-03 09:15:00,320 - depot - ERROR - handling failed",
            "Traceback (most recent call last):",
            '  File "/srv/a.py", line 4, in take',
            "    client.put()",
            "botocore.exceptions.ClientError: An error occurred (ThrottlingException) when calling the PutItem operation",
            "",
            "The above exception was the direct cause of the following exception:",
            "",
            "Traceback (most recent call last):",
            '  File "/srv/b.py", line 9, in run',
            "    take()",
            "depot.StoreError: could not store",
        ),
    ),
    Case(
        "Elixir's crash report, one event a line",
        {A: "DEPENDENCY_FAILURE"},
        (
            f"09:15:00.120 [info] handling {A}",
            "09:15:00.320 [error] GenServer #PID<0.412.0> terminating",
            "** (DBConnection.ConnectionError) connection not available and request was dropped from queue after 2000ms",
            "    (ecto_sql 3.11.1) lib/ecto/adapters/sql.ex:1054: Ecto.Adapters.SQL.raise_sql_call_error/1",
            "Last message: {:take, 1}",
        ),
    ),
    Case(
        "PHP dies of an uncaught exception",
        {A: "AUTH_FAILURE"},
        (
            f"[2026-02-03T09:15:00.120+00:00] app.INFO: handling {A} [] []",
            "PHP Fatal error:  Uncaught GuzzleHttp\\Exception\\ClientException: Client error: `GET https://t.example/x` "
            "resulted in a `401 Unauthorized` response in /srv/Handler.php:12",
            "Stack trace:",
            "#0 /srv/Client.php(40): handle()",
            "#1 {main}",
            "  thrown in /srv/Handler.php on line 12",
        ),
    ),
    Case(
        "Ruby's Sidekiq writes errors as warnings",
        {A: "TIMEOUT"},
        (
            f"2026-02-03T09:15:00.120Z pid=1 tid=a class=PickJob jid=5f0 INFO: start message_id={A}",
            "2026-02-03T09:15:10.120Z pid=1 tid=a class=PickJob jid=5f0 elapsed=10.0 INFO: fail",
            '2026-02-03T09:15:10.130Z pid=1 tid=a WARN: {"context":"Job raised exception","job":{"retry":true}}',
            "2026-02-03T09:15:10.130Z pid=1 tid=a WARN: Net::OpenTimeout: execution expired",
            "2026-02-03T09:15:10.130Z pid=1 tid=a WARN: /srv/a.rb:71:in `pick'",
        ),
    ),
    Case(
        "Lambda's time-out in the text format",
        {A: "TIMEOUT"},
        (
            start(R1),
            node(R1, "INFO", f"handling {A}"),
            f"2026-02-03T09:15:03.000Z {R1} Task timed out after 3.00 seconds",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "Lambda's time-out in the JSON format",
        {A: "TIMEOUT"},
        (
            js(time="t", type="platform.start", record={"requestId": R1, "version": "$LATEST"}),
            js(timestamp="t", level="INFO", requestId=R1, message=f"handling {A}"),
            js(time="t", type="platform.runtimeDone", record={"requestId": R1, "status": "timeout"}),
            js(time="t", type="platform.report", record={"requestId": R1, "status": "timeout", "metrics": {}}),
        ),
    ),
    Case(
        "out of memory, in the text format",
        {A: "CODE_BUG"},
        (
            start(R1),
            f"handling {A}",
            f"RequestId: {R1} Error: Runtime exited with error: signal: killed",
            "Runtime.ExitError",
            end(R1),
            f"REPORT RequestId: {R1}\tDuration: 90.11 ms\tBilled Duration: 91 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t",
        ),
    ),
    Case(
        "out of memory, in the JSON format",
        {A: "CODE_BUG"},
        (
            js(time="t", type="platform.start", record={"requestId": R1}),
            js(timestamp="t", level="INFO", requestId=R1, message={"got": A}),
            js(
                time="t",
                type="platform.report",
                record={
                    "requestId": R1,
                    "status": "error",
                    "errorType": "Runtime.ExitError",
                    "metrics": {"memorySizeMB": 128, "maxMemoryUsedMB": 128},
                },
            ),
        ),
    ),
    Case(
        "Lambda's JSON format, the error in the message",
        {A: "VALIDATION_ERROR"},
        (
            js(time="t", type="platform.start", record={"requestId": R1}),
            js(timestamp="t", level="INFO", requestId=R1, message=f"handling {A}"),
            js(
                timestamp="t",
                level="ERROR",
                requestId=R1,
                message={
                    "errorType": "ValidationException",
                    "errorMessage": "One or more parameter values were invalid",
                },
            ),
            js(time="t", type="platform.report", record={"requestId": R1, "status": "error", "metrics": {}}),
        ),
    ),
    Case(
        "two messages of a batch, each with its own id in the error",
        {A: "TIMEOUT", B: "VALIDATION_ERROR"},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A, B)),
            node(R1, "ERROR", f"record {A} failed: Error: socket hang up after ETIMEDOUT"),
            node(R1, "ERROR", f"record {B} failed: ValidationError: qty is required"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "two messages of a batch by their index",
        {A: "THROTTLED", B: "BAD_PAYLOAD"},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A, B)),
            node(R1, "ERROR", "record 1 failed: SyntaxError: Unexpected end of JSON input"),
            node(R1, "ERROR", "record 0 failed: ThrottlingException: Rate exceeded"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "two messages of a batch by order",
        {A: "TIMEOUT", B: "CODE_BUG"},
        (
            start(R1),
            f"[INFO]\t2026-02-03T09:15:00.000Z\t{R1}\ttaking {A}",
            f"[ERROR]\t2026-02-03T09:15:02.000Z\t{R1}\trequests.exceptions.ReadTimeout: Read timed out.",
            f"[INFO]\t2026-02-03T09:15:02.100Z\t{R1}\ttaking {B}",
            f"[ERROR]\t2026-02-03T09:15:02.200Z\t{R1}\tKeyError: 'qty'",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "the batch's answer names the one that failed",
        {A: None, B: "DEPENDENCY_FAILURE"},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A, B)),
            node(R1, "ERROR", "connect ECONNREFUSED 10.1.2.3:6379"),
            node(R1, "INFO", js(batchItemFailures=[{"itemIdentifier": B}])),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "two messages in one dump and one error without a name: nobody can tell",
        {A: None, B: None},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A, B)),
            node(R1, "ERROR", "connect ECONNREFUSED 10.1.2.3:6379"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "an invocation that times out fails all its messages",
        {A: "TIMEOUT", B: "TIMEOUT"},
        (
            start(R1),
            node(R1, "INFO", "EVENT " + event(A, B)),
            f"2026-02-03T09:15:03.000Z {R1} Task timed out after 3.00 seconds",
            end(R1),
            report(R1, "Status: timeout"),
        ),
    ),
    Case(
        "interleaved threads, each with its own messages",
        {A: "TIMEOUT", B: "VALIDATION_ERROR"},
        (
            f"09:15:00.100 [worker-1] INFO  c.d.Inbox - handling {A}",
            f"09:15:00.101 [worker-2] INFO  c.d.Inbox - handling {B}",
            "09:15:00.300 [worker-2] ERROR c.d.Inbox - failed: java.lang.IllegalArgumentException: qty must be positive",
            "09:15:05.300 [worker-1] ERROR c.d.Inbox - failed: java.net.SocketTimeoutException: Read timed out",
        ),
    ),
    Case(
        "interleaved, told apart by a correlation id",
        {A: "AUTH_FAILURE", B: "DEPENDENCY_FAILURE"},
        (
            js(level=30, msg="handling", messageId=A, correlationId="c-1"),
            js(level=30, msg="handling", messageId=B, correlationId="c-2"),
            js(
                level=50, msg="failed", correlationId="c-2", err={"type": "Error", "message": "getaddrinfo ENOTFOUND t"}
            ),
            js(level=50, msg="failed", correlationId="c-1", err={"type": "Error", "message": "401 Unauthorized"}),
        ),
    ),
    Case(
        "the first receive was throttled, the last one refused for good",
        {A: "VALIDATION_ERROR"},
        (
            start(R1),
            node(R1, "ERROR", f"{A} failed: ThrottlingException: Rate exceeded"),
            end(R1),
            start(R2),
            node(R2, "ERROR", f"{A} failed: ConditionalCheckFailedException: The conditional request failed"),
            end(R2),
        ),
    ),
    Case(
        "a retry inside worked, and then a bug",
        {A: "CODE_BUG"},
        (
            start(R1),
            node(R1, "INFO", f"handling {A}"),
            node(R1, "WARN", f"{A}: pricing answered 503, retrying in 200ms"),
            node(R1, "INFO", f"{A}: pricing ok on attempt 2"),
            node(R1, "ERROR", "ReferenceError: tariff is not defined"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "all that went wrong was overcome",
        {A: None},
        (
            start(R1),
            node(R1, "INFO", f"handling {A}"),
            node(R1, "WARN", "connection reset by peer, reconnecting"),
            node(R1, "INFO", "reconnected"),
            node(R1, "INFO", f"{A} done"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "a health check and a telemetry exporter fail beside it",
        {A: None},
        (
            js(level="info", msg="handling", message_id=A),
            js(level="error", msg="health check failed: connection refused"),
            js(level="error", msg="failed to export spans", error="deadline exceeded"),
            js(level="info", msg="stored", message_id=A),
        ),
    ),
    Case(
        "configuration that is written at the start",
        {A: None},
        (
            "2026-02-03T09:15:00Z INFO settings: timeout=30 retryOn=[429, 503] onError=deadLetter failFast=false",
            f"2026-02-03T09:15:00Z INFO handling {A}",
        ),
    ),
    Case(
        "another message's failure is not taken",
        {A: None},
        (
            js(level="info", msg="handling", messageId=A),
            js(level="info", msg="handling", messageId=ELSE),
            js(level="error", msg="failed", messageId=ELSE, error="connection refused"),
        ),
    ),
    Case(
        "a trace id in the error record is no other message",
        {A: "DEPENDENCY_FAILURE"},
        (f"handling {A}", "[3f3f3f3f-aaaa-4aaa-8aaa-00000000000f] ERROR Connection refused by cache:6379"),
    ),
    Case(
        "the receipt handle names it",
        {A: "THROTTLED"},
        (
            js(level="INFO", msg="got", handle=HANDLE, span_id="1"),
            js(level="ERROR", msg="failed: Too Many Requests (429)", handle=HANDLE),
        ),
        messages=(LoggedMessage(A, receipt_handle=HANDLE),),
    ),
    Case(
        "Powertools says which record of the batch failed",
        {A: "AUTH_FAILURE", B: None},
        (
            js(level="INFO", message="batch", function_request_id=R1, ids=[A, B]),
            js(
                level="ERROR",
                message=f"Record processing exception: AccessDeniedException for record {A}",
                function_request_id=R1,
            ),
            js(level="INFO", message="done", function_request_id=R1, batchItemFailures=[{"itemIdentifier": A}]),
        ),
    ),
    Case(
        "Serilog in compact form",
        {A: "DEPENDENCY_FAILURE"},
        (
            json.dumps({"@t": "t", "@mt": "Handling {MessageId}", "MessageId": A, "@i": "1"}),
            json.dumps(
                {
                    "@t": "t",
                    "@mt": "Failed",
                    "@l": "Error",
                    "MessageId": A,
                    "@x": "System.Net.Http.HttpRequestException: Connection refused (cache:80)\n   at A.B()",
                }
            ),
        ),
    ),
    Case(
        "Monolog's own line form",
        {A: "DEPENDENCY_FAILURE"},
        (
            f'[2026-02-03T09:15:00+00:00] messenger.INFO: Received message {{"id":"{A}"}} []',
            "[2026-02-03T09:15:01+00:00] messenger.CRITICAL: Error thrown while handling message App\\M. Removing from transport "
            'after 3 retries. Error: "SQLSTATE[HY000] [2002] Connection refused" {"class":"App\\\\M","retryCount":3} []',
        ),
    ),
    Case(
        "the error comes wrapped by a container's log driver",
        {A: "TIMEOUT"},
        tuple(
            js(log=line + "\n", stream="stderr", time="t")
            for line in (
                f"2026-02-03 09:15:00,120 INFO handling {A}",
                "2026-02-03 09:15:09,120 ERROR handling failed",
                "Traceback (most recent call last):",
                '  File "/srv/a.py", line 4, in take',
                "    take()",
                "requests.exceptions.ReadTimeout: Read timed out.",
            )
        ),
    ),
    Case(
        "a failure at ERROR, and then the framework's closing words",
        {A: "DEPENDENCY_FAILURE"},
        (
            js(level="info", msg="handling", messageId=A),
            js(level="error", msg="store failed", error="dial tcp 10.1.2.3:5432: connect: connection refused"),
            js(level="error", msg="handler returned an error, message will be retried", messageId=A),
        ),
    ),
    Case(
        "a program that prints without levels",
        {A: "VALIDATION_ERROR"},
        (
            start(R1),
            f"got {A}",
            "stored customer",
            "Error: order has no lines: required property 'lines'",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "an earlier message's failure stays with it",
        {A: "TIMEOUT", B: None},
        (
            f"2026-02-03 09:15:00 INFO handling {A}",
            "2026-02-03 09:15:05 ERROR Read timed out",
            f"2026-02-03 09:15:06 INFO handling {B}",
            f"2026-02-03 09:15:07 INFO {B} done",
        ),
        step=1000,
    ),
    Case(
        "klog with a quoted error",
        {A: "AUTH_FAILURE"},
        (
            f'I0203 09:15:00.000000       1 inbox.go:40] "Handling" message="{A}"',
            f'E0203 09:15:01.000000       1 inbox.go:71] "Failed" err="403 Forbidden" message="{A}"',
        ),
    ),
    Case(
        "an import fails before anything is handled",
        {A: None},
        (
            start(R1),
            "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'depot'",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "a warning with an exception, and no error",
        {A: "DEPENDENCY_FAILURE"},
        (
            f"2026-02-03 09:15:00.120  INFO 1 --- [c-1] o.d.Inbox : handling {A}",
            "2026-02-03 09:15:00.320  WARN 1 --- [c-1] o.s.a.r.l.ConditionalRejectingErrorHandler : Execution of listener failed.",
            "",
            "org.springframework.amqp.ListenerExecutionFailedException: Listener threw exception",
            "\tat org.springframework.X.y(X.java:1)",
            "Caused by: java.net.UnknownHostException: tariffs.internal",
            "\t... 4 more",
        ),
    ),
    Case(
        "a clean-up fails after the failure and is suppressed",
        {A: "VALIDATION_ERROR"},
        (
            f"09:15:00.100 [w-1] INFO  c.d.Inbox - handling {A}",
            "09:15:00.300 [w-1] ERROR c.d.Inbox - handling failed",
            "java.lang.IllegalArgumentException: Unknown currency: ZZZ",
            "\tat c.d.A.b(A.java:1)",
            "\tSuppressed: java.net.SocketTimeoutException: Read timed out",
            "\t\tat c.d.C.close(C.java:1)",
            "\t\tCaused by: java.net.ConnectException: Connection refused",
            "\t\t... 2 more",
        ),
    ),
    Case(
        "the trace comes first, and the record that names the message only reports it",
        {A: "DEPENDENCY_FAILURE", B: None},
        (
            f"2026-02-03 09:15:00 INFO [w] handling {B}",
            f"2026-02-03 09:15:00 INFO [w] {B} processed",
            "2026-02-03 09:15:01 ERROR [w] store: Connection refused",
            f"2026-02-03 09:15:01 ERROR [w] Failed to process message {A}",
        ),
    ),
    Case(
        "Shoryuken names the message in the head of each line",
        {A: "TIMEOUT", B: "CODE_BUG"},
        (
            f"2026-02-03T09:15:00.000Z 17 TID-ox1 PickWorker/orders/{A} INFO: started at 2026-02-03",
            f"2026-02-03T09:15:00.001Z 17 TID-ox2 PickWorker/orders/{B} INFO: started at 2026-02-03",
            f"2026-02-03T09:15:01.000Z 17 TID-ox2 PickWorker/orders/{B} ERROR: Processor failed: undefined method `qty' for nil:NilClass",
            f"2026-02-03T09:15:09.000Z 17 TID-ox1 PickWorker/orders/{A} ERROR: Processor failed: Net::ReadTimeout",
        ),
    ),
    Case(
        "JSON that was cut off in the middle",
        {A: "DEPENDENCY_FAILURE"},
        (
            js(level="info", msg="handling", messageId=A),
            '{"level":"error","msg":"failed","error":"dial tcp 10.1.2.3:5432: connect: connection refused","stack":"main.run\\n\\t/src/ma',
        ),
    ),
    Case(
        "docker compose writes the container's name before each line",
        {A: "VALIDATION_ERROR"},
        (
            f"worker-1  | 2026-02-03 09:15:00,100 INFO handling {A}",
            "worker-1  | 2026-02-03 09:15:00,200 ERROR failed",
            "worker-1  | Traceback (most recent call last):",
            'worker-1  |   File "/srv/a.py", line 1, in b',
            "worker-1  |     c()",
            "worker-1  | pydantic.ValidationError: 1 validation error for Order",
        ),
    ),
    Case(
        "a warning says that a duplicate was ignored",
        {A: None},
        (
            js(level="info", msg="handling", messageId=A),
            js(level="warn", msg="duplicate delivery ignored: key already exists", messageId=A),
        ),
    ),
    Case(
        "two invocations in two streams, the later one decides",
        {A: "AUTH_FAILURE"},
        (
            start(R1),
            node(R1, "INFO", f"handling {A}"),
            node(R1, "ERROR", "Error: connect ECONNREFUSED 10.0.0.1:443"),
            end(R1),
            start(R2),
            node(R2, "INFO", f"handling {A}"),
            node(R2, "ERROR", "AccessDeniedException: User: arn is not authorized to perform: sqs:SendMessage"),
            end(R2),
        ),
    ),
    Case(
        "counted from one",
        {A: "VALIDATION_ERROR", B: "TIMEOUT"},
        (
            start(R1),
            node(R1, "INFO", "got " + event(A, B)),
            node(R1, "ERROR", "record 1 of 2 failed: ValidationError: sku is required"),
            node(R1, "ERROR", "record 2 of 2 failed: ETIMEDOUT"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "a Java exception at WARN after each try, then the last one at ERROR",
        {A: "DEPENDENCY_FAILURE"},
        (
            f"09:15:00.100 [w] INFO  c.d.Inbox - handling {A}",
            "09:15:00.200 [w] WARN  c.d.Client - attempt 1/3 failed: 503 Service Unavailable, will retry",
            "09:15:00.300 [w] WARN  c.d.Client - attempt 2/3 failed: 503 Service Unavailable, will retry",
            "09:15:00.400 [w] ERROR c.d.Inbox - giving up on message after 3 attempts",
        ),
    ),
    Case(
        "a payload in the error record itself",
        {A: "CODE_BUG"},
        (
            js(
                level="error",
                msg="handler crashed",
                messageId=A,
                payload={"note": "connection timed out", "status": 503},
                error="TypeError: Cannot read properties of undefined (reading 'sku')",
            ),
        ),
    ),
    Case(
        "a payload as text in the error record",
        {A: "VALIDATION_ERROR"},
        (
            f'2026-02-03 09:15:00 ERROR message {A} with body {{"remark":"Service Unavailable, access denied"}} rejected: quantity must be at least 1',
        ),
    ),
    Case(
        "Lambda kills the process",
        {A: "CODE_BUG"},
        (
            start(R1),
            f"handling {A}",
            f"RequestId: {R1} Process exited before completing request",
            end(R1),
            report(R1, "Status: error\tError Type: Runtime.ExitError"),
        ),
    ),
    Case(
        "an extension crashes beside it",
        {A: "TIMEOUT"},
        (
            start(R1),
            node(R1, "INFO", f"handling {A}"),
            "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
            node(R1, "ERROR", "Error: Query read timeout"),
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "structlog with the id bound",
        {A: "THROTTLED"},
        (
            json.dumps({"event": "handling", "level": "info", "sqs": {"messageId": A}, "task": "t"}),
            json.dumps(
                {
                    "event": "failed",
                    "level": "error",
                    "sqs": {"messageId": A},
                    "exception": 'Traceback (most recent call last):\n  File "a.py", line 1, in b\nstripe.error.RateLimitError: Too many requests',
                }
            ),
        ),
    ),
    Case(
        "Python's exception without a level, printed by the runtime",
        {A: "CODE_BUG"},
        (
            start(R1),
            f"handling {A}",
            "'NoneType' object has no attribute 'get': AttributeError",
            "Traceback (most recent call last):",
            '  File "/var/task/a.py", line 3, in handler',
            "AttributeError: 'NoneType' object has no attribute 'get'",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "Go's zap with a failure of another worker in between",
        {A: "BAD_PAYLOAD", B: "DEPENDENCY_FAILURE"},
        (
            js(level="info", msg="handling", message_id=A, worker=1),
            js(level="info", msg="handling", message_id=B, worker=2),
            js(level="error", msg="failed", message_id=B, error="dial tcp: lookup cache: no such host"),
            js(level="error", msg="failed", message_id=A, error="invalid character 'x' looking for beginning of value"),
        ),
    ),
    Case(
        "the fallback was used, then success",
        {A: None},
        (
            js(level="info", msg="handling", messageId=A),
            js(level="error", msg="primary store timed out", messageId=A),
            js(level="warn", msg="using secondary store", messageId=A),
            js(level="info", msg="message done", messageId=A),
        ),
    ),
    Case(
        "Rails ActiveJob",
        {A: "DEPENDENCY_FAILURE"},
        (
            f"I, [2026-02-03T09:15:00.100000 #12]  INFO -- : [ActiveJob] [PickJob] [77aa0b54] Performing PickJob (Job ID: 77aa0b54) from Sqs(orders) message_id: {A}",
            "E, [2026-02-03T09:15:00.300000 #12] ERROR -- : [ActiveJob] [PickJob] [77aa0b54] Error performing PickJob (Job ID: 77aa0b54) from Sqs(orders) in 210ms: Errno::ECONNREFUSED (Failed to open TCP connection to t:443):",
            "/srv/a.rb:1:in `b'",
        ),
    ),
    Case(
        "a .NET worker service in JSON console form",
        {A: "AUTH_FAILURE"},
        (
            json.dumps({"Timestamp": "t", "LogLevel": "Information", "Category": "W", "Message": f"Handling {A}"}),
            json.dumps(
                {
                    "Timestamp": "t",
                    "LogLevel": "Error",
                    "Category": "W",
                    "Message": "Handling failed",
                    "Exception": "Azure.RequestFailedException: The request is not authorized\nStatus: 403 (Forbidden)\n   at X.Y()",
                }
            ),
        ),
    ),
    Case(
        "a message is only listed among those deleted",
        {A: None},
        (js(level="info", msg="deleted batch", ids=[A, B]), js(level="error", msg="poll failed: timeout")),
    ),
    Case(
        "spans many minutes in a container, other work in between",
        {A: None},
        (
            f"2026-02-03 09:15:00 INFO handling {A}",
            *tuple("2026-02-03 09:15:01 INFO tick" for _ in range(50)),
            "2026-02-03 09:30:00 ERROR Connection refused",
        ),
    ),
    Case(
        "Kotlin coroutine with suppressed",
        {A: "TIMEOUT"},
        (
            f"09:15:00.100 [DefaultDispatcher-worker-1] INFO  d.Inbox - handling {A}",
            "09:15:09.100 [DefaultDispatcher-worker-1] ERROR d.Inbox - failed",
            "kotlinx.coroutines.TimeoutCancellationException: Timed out waiting for 5000 ms",
            "\tat kotlinx.coroutines.TimeoutKt.X(Timeout.kt:184)",
        ),
    ),
    Case(
        "status 200 of the next message does not undo a failure",
        {A: "DEPENDENCY_FAILURE"},
        (
            js(level="info", msg="handling", messageId=A),
            js(
                level="error",
                msg="carrier unavailable",
                err={"type": "Error", "message": "Request failed with status code 503"},
            ),
            js(level="info", msg="next message ok", status=200),
        ),
    ),
    Case(
        "Lambda Java prints the trace with carriage returns",
        {A: "DEPENDENCY_FAILURE"},
        (
            start(R1),
            f"handling {A}",
            "java.net.ConnectException: Connection refused: java.lang.RuntimeException\njava.lang.RuntimeException: java.net.ConnectException: Connection refused\n\tat x.Y.z(Y.java:1)\nCaused by: java.net.ConnectException: Connection refused\n\t... 9 more\n",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "three messages in order, the second fails",
        {A: None, B: "VALIDATION_ERROR", C: None},
        (
            start(R1),
            f"processing {A}",
            "stored",
            f"processing {B}",
            "Error: Invalid postcode",
            f"processing {C}",
            "stored",
            end(R1),
            report(R1),
        ),
    ),
    Case(
        "a deadlock that was retried and then lost",
        {A: "DEPENDENCY_FAILURE"},
        (
            js(level="info", message="handling", messageId=A),
            js(level="warn", message="deadlock detected, retrying", messageId=A),
            js(level="error", message="deadlock detected, no more retries", messageId=A),
        ),
    ),
    Case(
        "memory that is used up ends as a time-out",
        {A: "CODE_BUG"},
        (
            start(R1),
            f"handling {A}",
            end(R1),
            f"REPORT RequestId: {R1}\tDuration: 30000.00 ms\tMemory Size: 192 MB\tMax Memory Used: 192 MB\tStatus: timeout",
        ),
    ),
    Case(
        "Bref names the record, and writes the exception behind it",
        {A: "DEPENDENCY_FAILURE"},
        (
            f'[2026-02-03T09:15:00+00:00] app.ERROR: SQS record with id "{A}" failed to be processed. But failure was marked as unrecoverable. Message will be acknowledged. [] []',
            '[2026-02-03T09:15:00+00:00] app.ERROR: Connection refused for "https://stock.example/x" [] []',
        ),
    ),
    Case(
        "Laravel's last word is that the attempts are used up",
        {A: "AUTH_FAILURE"},
        (
            f"[2026-02-03 09:15:00] production.INFO: handling {A}",
            '[2026-02-03 09:15:01] production.ERROR: Client error: 401 Unauthorized {"exception":"[object] (GuzzleHttp\\\\ClientException(code: 401): 401 Unauthorized at /srv/a.php:1)"}',
            "[2026-02-03 09:15:02] production.ERROR: App\\Jobs\\Pick has been attempted too many times or run too long. The job may have previously timed out.",
        ),
    ),
    Case(
        "Shoryuken writes the trace as an error of its own",
        {A: "TIMEOUT"},
        (
            f"2026-02-03T09:15:09.000Z 17 TID-ox1 PickWorker/orders/{A} ERROR: Processor failed: Net::ReadTimeout",
            f"2026-02-03T09:15:09.001Z 17 TID-ox1 PickWorker/orders/{A} ERROR: /srv/a.rb:71:in `pick'",
            "/srv/b.rb:1:in `run'",
        ),
    ),
)


@pytest.mark.parametrize("order", ["as written", "shuffled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_message_gets_its_own_last_failure_or_none(case: Case, order: str) -> None:
    """The table above; the order in which a look-up returns events does not matter as long as their times differ."""
    events = [LogEvent(1_000 + case.step * number, "s", line) for number, line in enumerate(case.lines)]
    if order == "shuffled":
        events = events[1::2] + events[::2]
    sought = case.messages or tuple(LoggedMessage(message) for message in case.wanted)
    found = failures_of(events, sought)
    kinds = {
        message: None if finding.evidence is None else str(diagnose(finding.evidence).kind)
        for message, finding in found.items()
    }
    assert kinds == case.wanted, {
        message: finding.evidence and finding.evidence.error for message, finding in found.items()
    }
    assert all(found[message].named for message, kind in case.wanted.items() if kind)
