"""Writers of log records, as the loggers of each ecosystem write them: for texts that tests make up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 2, 3, 9, 15, 0, tzinfo=UTC)
REQUEST = "5e0b7a52-93c1-4d2e-8f7a-1b2c3d4e5f60"


@dataclass(frozen=True)
class Thrown:
    """An exception: its class, its message, and the class and message of its cause."""

    kind: str
    says: str
    cause: tuple[str, str] | None = None


@dataclass(frozen=True)
class Said:
    """One record to be written.

    Attributes:
        number: seconds since the start.
        level: debug, info, warn or error.
        text: the message.
        facts: fields beside it.
        thrown: the exception.
    """

    number: float
    level: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    thrown: Thrown | None = None

    @property
    def at(self) -> datetime:
        return START + timedelta(seconds=self.number)

    @property
    def iso(self) -> str:
        return self.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.at.microsecond // 1000:03d}Z"

    @property
    def plain(self) -> str:
        return self.at.strftime("%Y-%m-%d %H:%M:%S,") + f"{self.at.microsecond // 1000:03d}"

    @property
    def pairs(self) -> str:
        return "".join(f" {name}={json.dumps(value)}" for name, value in self.facts.items())

    @property
    def extra(self) -> str:
        return " " + json.dumps(self.facts) if self.facts else ""

    @property
    def one_line(self) -> str:
        """The exception without its frames."""
        if self.thrown is None:
            return ""
        parts = [f"{self.thrown.kind}: {self.thrown.says}"]
        if self.thrown.cause:
            parts.append(": ".join(self.thrown.cause))
        return ": ".join(parts)


Writer = Callable[[Said], list[str]]


def java_trace(thrown: Thrown) -> list[str]:
    lines = [
        f"{thrown.kind}: {thrown.says}",
        "\tat shop.depot.Picker.pick(Picker.java:71)",
        "\tat shop.depot.Inbox.lambda$run$0(Inbox.java:40)",
        "\tat java.base/java.lang.Thread.run(Thread.java:1570)",
    ]
    if thrown.cause:
        lines += [
            f"Caused by: {thrown.cause[0]}: {thrown.cause[1]}",
            "\tat shop.depot.Rack.take(Rack.java:19)",
            "\t... 3 more",
        ]
    return lines


def python_trace(thrown: Thrown) -> list[str]:
    def one(kind: str, says: str) -> list[str]:
        return [
            "Traceback (most recent call last):",
            '  File "/srv/depot/inbox.py", line 40, in run',
            "    pick(order)",
            '  File "/srv/depot/picker.py", line 71, in pick',
            "    rack.take(item)",
            f"{kind}: {says}",
        ]

    if not thrown.cause:
        return one(thrown.kind, thrown.says)
    return [
        *one(*thrown.cause),
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        *one(thrown.kind, thrown.says),
    ]


def node_trace(thrown: Thrown) -> list[str]:
    lines = [
        f"{thrown.kind}: {thrown.says}",
        "    at Picker.pick (/srv/depot/dist/picker.js:71:13)",
        "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    ]
    if thrown.cause:
        lines[-1] += " {"
        lines += [
            f"  [cause]: {thrown.cause[0]}: {thrown.cause[1]}",
            "      at Rack.take (/srv/depot/dist/rack.js:19:9)",
            "}",
        ]
    return lines


def dotnet_trace(thrown: Thrown) -> list[str]:
    lines = [f"{thrown.kind}: {thrown.says}"]
    if thrown.cause:
        lines += [
            f" ---> {thrown.cause[0]}: {thrown.cause[1]}",
            "   at Depot.Rack.Take(Item item) in /src/Depot/Rack.cs:line 19",
            "   --- End of inner exception stack trace ---",
        ]
    return [*lines, "   at Depot.Inbox.RunAsync(CancellationToken stop) in /src/Depot/Inbox.cs:line 40"]


def ruby_trace(thrown: Thrown) -> list[str]:
    lines = [
        f"{thrown.kind}: {thrown.says}",
        "/srv/depot/app/picker.rb:71:in `pick'",
        "/srv/depot/app/inbox.rb:40:in `block in run'",
    ]
    if thrown.cause:
        lines += [f"Caused by: {thrown.cause[0]}: {thrown.cause[1]}", "/srv/depot/app/rack.rb:19:in `take'"]
    return lines


def php_trace(thrown: Thrown) -> list[str]:
    first = thrown.cause or (thrown.kind, thrown.says)
    lines = [
        f"{first[0]}: {first[1]} in /srv/depot/src/Rack.php:19",
        "Stack trace:",
        "#0 /srv/depot/src/Inbox.php(40): Depot\\Rack->take()",
        "#1 {main}",
    ]
    if thrown.cause:
        lines += ["", f"Next {thrown.kind}: {thrown.says} in /srv/depot/src/Picker.php:71", "Stack trace:", "#0 {main}"]
    return lines


def elixir_trace(thrown: Thrown) -> list[str]:
    return [
        f"** ({thrown.kind}) {thrown.says}" + (f": {thrown.cause[1]}" if thrown.cause else ""),
        "    (depot 0.3.0) lib/depot/picker.ex:71: Depot.Picker.pick/2",
        "    (stdlib 5.2) gen_server.erl:1095: :gen_server.try_handle_info/3",
    ]


Trace = Callable[[Thrown], list[str]]


def lines_of(head: str, said: Said, trace: Trace) -> list[str]:
    return [head, *(trace(said.thrown) if said.thrown else [])]


def upper(said: Said) -> str:
    return said.level.upper()


# ---- text, one head and a trace beneath it


def spring(said: Said) -> list[str]:
    stamp = said.at.strftime("%Y-%m-%dT%H:%M:%S.120+01:00")
    head = f"{stamp} {upper(said):>5} 7 --- [depot] [ntainer#1-0-C-1] s.depot.inbox.OrderInbox        : {said.text}"
    return lines_of(head + said.pairs, said, java_trace)


def logback(said: Said) -> list[str]:
    return lines_of(
        f"{said.at:%H:%M:%S}.404 [sqs-worker-2] {upper(said):<5} shop.depot.Inbox - {said.text}", said, java_trace
    )


def log4j(said: Said) -> list[str]:
    return lines_of(f"{said.plain} {upper(said)} [pool-2-thread-9] (Inbox.java:40) - {said.text}", said, java_trace)


def jul(said: Said) -> list[str]:
    names = {"debug": "FINE", "info": "INFO", "warn": "WARNING", "error": "SEVERE"}
    stamp = said.at.strftime("%b %d, %Y %I:%M:%S %p")
    return [f"{stamp} shop.depot.Inbox run", *lines_of(f"{names[said.level]}: {said.text}", said, java_trace)]


def python_logging(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    return lines_of(f"{said.plain} - depot.inbox - {name} - {said.text}", said, python_trace)


def python_basic(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    return lines_of(f"{name}:depot.inbox:{said.text}", said, python_trace)


def celery(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    return lines_of(f"[{said.plain}: {name}/ForkPoolWorker-4] {said.text}", said, python_trace)


def loguru(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    stamp = said.at.strftime("%Y-%m-%d %H:%M:%S.220")
    return lines_of(f"{stamp} | {name:<8} | depot.inbox:run:40 - {said.text}", said, python_trace)


def structlog_console(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    return lines_of(f"{said.iso} [{name:<9}] {said.text:<30}{said.pairs}", said, python_trace)


def lambda_python(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    return lines_of(f"[{name}]\t{said.iso}\t{REQUEST}\t{said.text}", said, python_trace)


def lambda_node(said: Said) -> list[str]:
    return lines_of(f"{said.iso}\t{REQUEST}\t{upper(said)}\t{said.text}{said.extra}", said, node_trace)


def winston_simple(said: Said) -> list[str]:
    return lines_of(f"{said.level}: {said.text}{said.extra}", said, node_trace)


def winston_printf(said: Said) -> list[str]:
    return lines_of(f"{said.iso} [{said.level}]: {said.text}", said, node_trace)


def nest(said: Said) -> list[str]:
    name = {"info": "LOG"}.get(said.level, upper(said))
    stamp = said.at.strftime("%m/%d/%Y, %I:%M:%S %p")
    return lines_of(f"[Nest] 21  - {stamp} {name:>7} [OrderInbox] {said.text}", said, node_trace)


def serilog(said: Said) -> list[str]:
    short = {"debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR"}[said.level]
    return lines_of(f"[{said.at:%H:%M:%S} {short}] {said.text}", said, dotnet_trace)


def serilog_file(said: Said) -> list[str]:
    short = {"debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR"}[said.level]
    stamp = said.at.strftime("%Y-%m-%d %H:%M:%S.220 +00:00")
    return lines_of(f"{stamp} [{short}] {said.text}", said, dotnet_trace)


def nlog(said: Said) -> list[str]:
    return lines_of(f"{said.at:%Y-%m-%d %H:%M:%S}.2200|{upper(said)}|Depot.Inbox|{said.text}", said, dotnet_trace)


def log4net(said: Said) -> list[str]:
    return lines_of(f"{said.plain} [14] {upper(said)} Depot.Inbox - {said.text}", said, dotnet_trace)


def dotnet_console(said: Said) -> list[str]:
    short = {"debug": "dbug", "info": "info", "warn": "warn", "error": "fail"}[said.level]
    trace = [f"      {line}" for line in (dotnet_trace(said.thrown) if said.thrown else [])]
    return [f"{short}: Depot.Inbox[0]", f"      {said.text}", *trace]


def ruby_logger(said: Said) -> list[str]:
    letter = said.level[0].upper()
    stamp = said.at.strftime("%Y-%m-%dT%H:%M:%S.220000")
    return lines_of(f"{letter}, [{stamp} #12] {upper(said):>5} -- : {said.text}", said, ruby_trace)


def rails_tagged(said: Said) -> list[str]:
    letter = said.level[0].upper()
    stamp = said.at.strftime("%Y-%m-%dT%H:%M:%S.220000")
    head = f"{letter}, [{stamp} #12] {upper(said):>5} -- : [ActiveJob] [PickJob] [b81f0c] {said.text}"
    return lines_of(head, said, ruby_trace)


def sidekiq(said: Said) -> list[str]:
    head = f"{said.iso} pid=1 tid=ox8 class=PickJob jid=0c5ad1f7e6b94f2da8f1c0aa {upper(said)}: "
    if said.thrown is None:
        return [head + said.text]
    trace = ruby_trace(said.thrown)
    context = json.dumps({"context": "Job raised exception", "job": {"retry": True, "queue": "default", "args": [71]}})
    warned = head.replace("ERROR: ", "WARN: ")
    return [warned + context, warned + said.one_line, warned + trace[1], *trace[2:3]]


def monolog(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    context = json.dumps(said.facts) if said.facts else "[]"
    if said.thrown is None:
        return [f"[{said.iso}] app.{name}: {said.text} {context} []"]
    thrown = said.thrown.kind.replace("\\", "\\\\")
    says = f"[object] ({thrown}(code: 0): {said.thrown.says} at /srv/depot/src/Picker.php:71)"
    if said.thrown.cause:
        kind, text = said.thrown.cause
        says += f"\\n[previous exception] [object] ({kind}(code: 0): {text} at /srv/a.php:19)"
    return [f'[{said.iso}] app.{name}: {said.text} {{"exception":"{says}"}} []']


def laravel(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    stamp = said.at.strftime("%Y-%m-%d %H:%M:%S")
    if said.thrown is None:
        return [f"[{stamp}] production.{name}: {said.text}{said.extra}"]
    kind = said.thrown.kind.replace("\\", "\\\\")
    return [
        f'[{stamp}] production.{name}: {said.one_line} {{"exception":"[object] ({kind}(code: 0): {said.thrown.says} at '
        "/srv/depot/app/Picker.php:71)",
        "[stacktrace]",
        "#0 /srv/depot/app/Inbox.php(40): App\\\\Picker->pick()",
        "#1 {main}",
        '"}',
    ]


def elixir(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    return lines_of(f"{said.at:%H:%M:%S}.220 [{name}] {said.text}", said, elixir_trace)


def env_logger(said: Said) -> list[str]:
    error = f": {said.one_line}" if said.thrown else ""
    return [f"[{said.at:%Y-%m-%dT%H:%M:%SZ} {upper(said):<5} depot::inbox] {said.text}{error}"]


def rust_tracing(said: Said) -> list[str]:
    error = f" error={said.one_line}" if said.thrown else ""
    span = ":take{queue=orders}: " if said.level != "debug" else " "
    return [f"{said.iso} {upper(said):>5}{span.replace(':take', ' take')}depot::inbox: {said.text}{said.pairs}{error}"]


def go_standard(said: Said) -> list[str]:
    error = f": {said.one_line}" if said.thrown else ""
    return [f"{said.at:%Y/%m/%d %H:%M:%S} [{upper(said)}] {said.text}{said.pairs}{error}"]


def klog(said: Said) -> list[str]:
    letter = said.level[0].upper().replace("D", "I")
    error = f": {said.one_line}" if said.thrown else ""
    return [f"{letter}{said.at:%m%d %H:%M:%S}.220000       1 inbox.go:40] {said.text}{error}"]


def zap_console(said: Said) -> list[str]:
    facts = dict(said.facts)
    if said.thrown:
        facts["error"] = said.one_line
    return [f"{said.iso}\t{upper(said)}\tdepot/inbox.go:40\t{said.text}\t{json.dumps(facts)}"]


def logrus_console(said: Said) -> list[str]:
    short = {"debug": "DEBU", "info": "INFO", "warn": "WARN", "error": "ERRO"}[said.level]
    error = f' error="{said.one_line}"' if said.thrown else ""
    return [f"{short}[{int(said.number):04d}] {said.text:<44}{said.pairs}{error}"]


def zerolog_console(said: Said) -> list[str]:
    short = {"debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR"}[said.level]
    error = f' error="{said.one_line}"' if said.thrown else ""
    return [f"{said.at:%I:%M%p} {short} {said.text}{error}{said.pairs}"]


def logfmt(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    error = f" error={json.dumps(said.one_line)}" if said.thrown else ""
    return [f'time="{said.at:%Y-%m-%dT%H:%M:%SZ}" level={name} msg={json.dumps(said.text)}{error}{said.pairs}']


def slog_text(said: Said) -> list[str]:
    error = f" err={json.dumps(said.one_line)}" if said.thrown else ""
    return [f"time={said.iso} level={upper(said)} msg={json.dumps(said.text)}{said.pairs}{error}"]


def hclog(said: Said) -> list[str]:
    error = f': error="{said.one_line}"' if said.thrown else ""
    return [f"{said.iso} [{upper(said)}]  depot: {said.text}{error}{said.pairs}"]


def log4perl(said: Said) -> list[str]:
    error = f": {said.one_line} at /srv/depot/lib/Depot/Picker.pm line 71." if said.thrown else ""
    return [f"{said.at:%Y/%m/%d %H:%M:%S} {upper(said)}> Inbox.pm:40 Depot::Inbox::run - {said.text}{error}"]


def swift_log(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    error = f": {said.one_line}" if said.thrown else ""
    return [f"{said.at:%Y-%m-%dT%H:%M:%S+0000} {name} depot.inbox : [Depot] {said.text}{error}"]


def syslog(said: Said) -> list[str]:
    error = f": {said.one_line}" if said.thrown else ""
    return [f"{said.at:%b %e %H:%M:%S} depot-7c9 inbox[17]: {upper(said)} {said.text}{error}"]


def azure_functions(said: Said) -> list[str]:
    name = {"warn": "Warning", "info": "Information"}.get(said.level, said.level.title())
    return lines_of(f"{said.iso}   [{name}]   {said.text}", said, dotnet_trace)


# ---- JSON


def _json(said: Said, first: dict[str, Any], error: dict[str, Any] | None = None) -> list[str]:
    return [json.dumps({**first, **said.facts, **(error or {})})]


def pino(said: Said) -> list[str]:
    number = {"debug": 20, "info": 30, "warn": 40, "error": 50}[said.level]
    error = None
    if said.thrown:
        error = {
            "err": {"type": said.thrown.kind, "message": said.thrown.says, "stack": "\n".join(node_trace(said.thrown))}
        }
    return _json(
        said, {"level": number, "time": 1_770_000_000_000, "pid": 9, "hostname": "d-1", "msg": said.text}, error
    )


def bunyan(said: Said) -> list[str]:
    number = {"debug": 20, "info": 30, "warn": 40, "error": 50}[said.level]
    error = None
    if said.thrown:
        error = {
            "err": {"message": said.thrown.says, "name": said.thrown.kind, "stack": "\n".join(node_trace(said.thrown))}
        }
    first = {"name": "depot", "hostname": "d-1", "pid": 9, "level": number, "msg": said.text, "time": said.iso, "v": 0}
    return _json(said, first, error)


def winston_json(said: Said) -> list[str]:
    error = None
    text = said.text
    if said.thrown:
        text = f"{said.text} {said.thrown.says}"
        error = {"stack": "\n".join(node_trace(said.thrown))}
    return _json(said, {"level": said.level, "message": text, "service": "depot", "timestamp": said.iso}, error)


def zap_json(said: Said) -> list[str]:
    error = (
        {"error": said.one_line, "stacktrace": "depot.(*Inbox).Run\n\t/src/depot/inbox.go:40"} if said.thrown else None
    )
    return _json(
        said, {"level": said.level, "ts": 1770000000.2, "caller": "depot/inbox.go:40", "msg": said.text}, error
    )


def logrus_json(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    return _json(
        said, {"level": name, "msg": said.text, "time": said.iso}, {"error": said.one_line} if said.thrown else None
    )


def zerolog(said: Said) -> list[str]:
    error = {"error": said.one_line} if said.thrown else None
    return _json(said, {"level": said.level, "time": 1770000000, "message": said.text}, error)


def slog_json(said: Said) -> list[str]:
    error = {"err": said.one_line} if said.thrown else None
    return _json(said, {"time": said.iso, "level": upper(said), "msg": said.text}, error)


def serilog_compact(said: Said) -> list[str]:
    names = {"debug": "Debug", "warn": "Warning", "error": "Error"}
    first = {"@t": said.iso, "@mt": said.text}
    if said.level in names:
        first["@l"] = names[said.level]
    error = {"@x": "\n".join(dotnet_trace(said.thrown))} if said.thrown else None
    return _json(said, first, error)


def nlog_json(said: Said) -> list[str]:
    error = {"exception": "\n".join(dotnet_trace(said.thrown))} if said.thrown else None
    return _json(said, {"time": said.iso, "level": upper(said), "logger": "Depot.Inbox", "message": said.text}, error)


def dotnet_json_console(said: Said) -> list[str]:
    names = {"debug": "Debug", "info": "Information", "warn": "Warning", "error": "Error"}
    first = {
        "Timestamp": said.iso,
        "EventId": 0,
        "LogLevel": names[said.level],
        "Category": "Depot",
        "Message": said.text,
    }
    return _json(said, first, {"Exception": "\n".join(dotnet_trace(said.thrown))} if said.thrown else None)


def powertools_python(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    first = {
        "level": name,
        "location": "run:40",
        "message": said.text,
        "timestamp": said.plain + "+0000",
        "service": "depot",
        "function_request_id": REQUEST,
    }
    error = None
    if said.thrown:
        error = {"exception": "\n".join(python_trace(said.thrown)), "exception_name": said.thrown.kind.rsplit(".")[-1]}
    return _json(said, first, error)


def powertools_typescript(said: Said) -> list[str]:
    first = {
        "level": upper(said),
        "message": said.text,
        "service": "depot",
        "timestamp": said.iso,
        "function_request_id": REQUEST,
    }
    error = None
    if said.thrown:
        inner = {"name": said.thrown.kind, "location": "/var/task/index.js:71", "message": said.thrown.says}
        inner["stack"] = "\n".join(node_trace(said.thrown))
        error = {"error": inner}
    return _json(said, first, error)


def powertools_java(said: Said) -> list[str]:
    first = {
        "timestamp": said.iso,
        "level": upper(said),
        "message": said.text,
        "service": "depot",
        "function_request_id": REQUEST,
    }
    error = None
    if said.thrown:
        error = {
            "error": {
                "message": said.thrown.says,
                "name": said.thrown.kind,
                "stack": "\n".join(java_trace(said.thrown)),
            }
        }
    return _json(said, first, error)


def powertools_dotnet(said: Said) -> list[str]:
    names = {"debug": "Debug", "info": "Information", "warn": "Warning", "error": "Error"}
    first = {
        "level": names[said.level],
        "message": said.text,
        "timestamp": said.iso,
        "service": "depot",
        "function_request_id": REQUEST,
    }
    error = None
    if said.thrown:
        inner: dict[str, Any] = {
            "type": said.thrown.kind,
            "message": said.thrown.says,
            "stack_trace": "at Depot.Inbox.Run()",
        }
        if said.thrown.cause:
            inner["inner_exception"] = {"type": said.thrown.cause[0], "message": said.thrown.cause[1]}
        error = {"exception": inner}
    return _json(said, first, error)


def structlog_json(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    error = {"exception": "\n".join(python_trace(said.thrown))} if said.thrown else None
    return _json(said, {"event": said.text, "level": name, "timestamp": said.iso}, error)


def python_json(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    error = {"exc_info": "\n".join(python_trace(said.thrown))} if said.thrown else None
    return _json(said, {"asctime": said.plain, "levelname": name, "name": "depot.inbox", "message": said.text}, error)


def loguru_json(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    text = f"{said.plain} | {name} | depot.inbox:run:40 - {said.text}\n"
    record: dict[str, Any] = {"level": {"icon": "x", "name": name, "no": 20}, "message": said.text, "exception": None}
    if said.thrown:
        text += "\n".join(python_trace(said.thrown)) + "\n"
        record["exception"] = {"type": said.thrown.kind, "value": said.thrown.says, "traceback": True}
    record["extra"] = said.facts
    return [json.dumps({"text": text, "record": record})]


def logstash(said: Said) -> list[str]:
    first = {
        "@timestamp": said.iso,
        "@version": "1",
        "message": said.text,
        "logger_name": "shop.depot.Inbox",
        "thread_name": "sqs-1",
        "level": upper(said),
        "level_value": 20000,
    }
    return _json(said, first, {"stack_trace": "\n".join(java_trace(said.thrown)) + "\n"} if said.thrown else None)


def elastic(said: Said) -> list[str]:
    first = {"@timestamp": said.iso, "log.level": upper(said), "message": said.text, "ecs.version": "1.2.0"}
    error = None
    if said.thrown:
        error = {
            "error.type": said.thrown.kind,
            "error.message": said.thrown.says,
            "error.stack_trace": "\n".join(java_trace(said.thrown)),
        }
    return _json(said, first, error)


def log4j_json(said: Said) -> list[str]:
    first = {"instant": {"epochSecond": 1770000000}, "thread": "main", "level": upper(said), "message": said.text}
    error = None
    if said.thrown:
        inner: dict[str, Any] = {"message": said.thrown.says, "name": said.thrown.kind}
        if said.thrown.cause:
            inner["cause"] = {"name": said.thrown.cause[0], "message": said.thrown.cause[1]}
        error = {"thrown": inner}
    return _json(said, first, error)


def semantic_logger(said: Said) -> list[str]:
    first = {"host": "d-1", "application": "depot", "timestamp": said.iso, "level": said.level, "message": said.text}
    error = None
    if said.thrown:
        inner: dict[str, Any] = {
            "name": said.thrown.kind,
            "message": said.thrown.says,
            "stack_trace": ruby_trace(said.thrown)[1:],
        }
        if said.thrown.cause:
            inner["cause"] = {"name": said.thrown.cause[0], "message": said.thrown.cause[1], "stack_trace": []}
        error = {"exception": inner}
    return _json(said, first, error)


def monolog_json(said: Said) -> list[str]:
    number = {"debug": 100, "info": 200, "warn": 300, "error": 400}[said.level]
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    context: dict[str, Any] = dict(said.facts)
    if said.thrown:
        context["exception"] = {
            "class": said.thrown.kind,
            "message": said.thrown.says,
            "code": 0,
            "file": "/srv/a.php:71",
        }
        if said.thrown.cause:
            context["exception"]["previous"] = {
                "class": said.thrown.cause[0],
                "message": said.thrown.cause[1],
                "code": 0,
            }
    whole = {
        "message": said.text,
        "context": context,
        "level": number,
        "level_name": name,
        "channel": "app",
        "extra": {},
    }
    return [json.dumps(whole)]


def elixir_json(said: Said) -> list[str]:
    name = {"warn": "warning"}.get(said.level, said.level)
    text = said.text + ("\n" + "\n".join(elixir_trace(said.thrown)) if said.thrown else "")
    return [json.dumps({"time": said.iso, "severity": name, "message": text, "metadata": said.facts})]


def rust_json(said: Said) -> list[str]:
    fields: dict[str, Any] = {"message": said.text, **said.facts}
    if said.thrown:
        fields["error"] = said.one_line
    return [json.dumps({"timestamp": said.iso, "level": upper(said), "fields": fields, "target": "depot::inbox"})]


def gelf(said: Said) -> list[str]:
    number = {"debug": 7, "info": 6, "warn": 4, "error": 3}[said.level]
    first = {"version": "1.1", "host": "d-1", "short_message": said.text, "timestamp": 1770000000.2, "level": number}
    trace = said.text + "\n" + "\n".join(java_trace(said.thrown)) if said.thrown else ""
    return _json(said, first, {"full_message": trace} if trace else None)


def google_cloud(said: Said) -> list[str]:
    name = {"warn": "WARNING"}.get(said.level, upper(said))
    text = said.text + ("\n" + "\n".join(node_trace(said.thrown)) if said.thrown else "")
    return [json.dumps({"severity": name, "message": text, "time": said.iso, **said.facts})]


def lambda_json(said: Said) -> list[str]:
    first: dict[str, Any] = {"timestamp": said.iso, "level": upper(said), "requestId": REQUEST, "message": said.text}
    if said.thrown:
        stack = node_trace(said.thrown)
        first["message"] = {"errorType": said.thrown.kind, "errorMessage": said.thrown.says, "stackTrace": stack}
    return [json.dumps(first)]


def open_telemetry(said: Said) -> list[str]:
    number = {"debug": 5, "info": 9, "warn": 13, "error": 17}[said.level]
    attributes: dict[str, Any] = dict(said.facts)
    if said.thrown:
        attributes["exception.type"] = said.thrown.kind
        attributes["exception.message"] = said.thrown.says
        attributes["exception.stacktrace"] = "\n".join(java_trace(said.thrown))
    return [json.dumps({"severityNumber": number, "body": said.text, "attributes": attributes})]


def docker(said: Said) -> list[str]:
    return [json.dumps({"log": line + "\n", "stream": "stderr", "time": said.iso}) for line in python_logging(said)]


def kubernetes(said: Said) -> list[str]:
    return [f"{said.iso} stdout F {line}" for line in logback(said)]


TEXT: tuple[Writer, ...] = (
    *(spring, logback, log4j, jul, python_logging, python_basic, celery, loguru, structlog_console, lambda_python),
    *(lambda_node, winston_simple, winston_printf, nest, serilog, serilog_file, nlog, log4net, dotnet_console),
    *(ruby_logger, rails_tagged, sidekiq, monolog, laravel, elixir, env_logger, rust_tracing, go_standard, klog),
    *(zap_console, logrus_console, zerolog_console, logfmt, slog_text, hclog, log4perl, swift_log, syslog),
    *(azure_functions, docker, kubernetes),
)
JSON: tuple[Writer, ...] = (
    *(pino, bunyan, winston_json, zap_json, logrus_json, zerolog, slog_json, serilog_compact, nlog_json),
    *(dotnet_json_console, powertools_python, powertools_typescript, powertools_java, powertools_dotnet),
    *(structlog_json, python_json, loguru_json, logstash, elastic, log4j_json, semantic_logger, monolog_json),
    *(elixir_json, rust_json, gelf, google_cloud, lambda_json, open_telemetry),
)
WRITERS = TEXT + JSON
