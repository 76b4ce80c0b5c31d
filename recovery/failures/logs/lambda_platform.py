"""Lambda's own records, in its text and its JSON format: start, end, report, time-outs, crashes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recovery.failures.logs.records import Level, Record

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_FRAME = re.compile(rf"(START|END|REPORT) RequestId: ({_UUID})")
_OTHERS = re.compile(r"(INIT_START|INIT_REPORT|RESTORE_START|RESTORE_REPORT|EXTENSION|TELEMETRY|LOGS|XRAY)\b")
_STATUS = re.compile(r"\bStatus: (timeout|error|failure)\b(?:[^\n]{0,80}?Error Type: ([\w.]{1,120}))?", re.IGNORECASE)
_TIMED_OUT = re.compile(rf"(?:\S{{20,30}} )?({_UUID}) (Task timed out after [\d.]{{1,12}} seconds)")
_DIED = re.compile(rf"RequestId: ({_UUID}) ((?:Process|Error:|Runtime)[^\n]{{0,300}})")
_XRAY = re.compile(r"\bXRAY TraceId: (1-[0-9a-f]{8}-[0-9a-f]{24})")
_ROOT = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})")
_MEMORY = re.compile(r"Memory Size: (\d{1,6}) MB\s{1,4}Max Memory Used: (\d{1,6}) MB")
_FIRSTS = frozenset("SERILTX")
PLATFORM_STARTS = frozenset(
    ("START", "END R", "REPOR", "INIT_", "RESTO", "EXTEN", "TELEM", "LOGS\t", "LOGS ", "XRAY ", "Reque")
)
_TIMED_OUT_TEXT = "Task timed out"
OUT_OF_MEMORY = "Runtime.OutOfMemory: the function ran out of memory and was killed"


def read_platform(line: str) -> Record | None:
    """The record of the platform that a line is in the text format; None when it is none."""
    first = line[:1]
    if first == "2":
        if " Task timed out" in line[:100] and (found := _TIMED_OUT.match(line)):
            return Record(level=Level.FATAL, text=found[2], platform="fault", request=found[1].lower())
        return None
    if first not in _FIRSTS or line[:5] not in PLATFORM_STARTS:
        return None
    if found := _FRAME.match(line):
        name = found[1].lower()
        record = Record(level=Level.INFO, platform=name, request=found[2].lower())
        return _report(record, line) if name == "report" else record
    if found := _DIED.match(line):
        return Record(level=Level.FATAL, text=_death(found[2] or line), platform="fault", request=found[1].lower())
    if found := _OTHERS.match(line):
        record = Record(level=Level.INFO, platform="other")
        if found[1] == "INIT_REPORT" and (state := _STATUS.search(line)):
            record.level = Level.ERROR
            record.platform = "init"
            record.text = _state(state[1].lower(), state[2] or "")
        return record
    return None


def _report(record: Record, line: str) -> Record:
    if found := _XRAY.search(line):
        record.trace = found[1]
    if state := _STATUS.search(line):
        record.level = Level.FATAL
        memory = _MEMORY.search(line)
        full = memory is not None and int(memory[2]) >= int(memory[1])
        record.text = _state(state[1].lower(), state[2] or "", full=full)
    return record


def platform_record(kind: str, record: Mapping[str, Any]) -> Record:
    """The record of the platform that an event of the JSON format is (`platform.report` and its kin)."""
    name = kind.removeprefix("platform.")
    made = Record(level=Level.INFO, platform=name, request=str(record.get("requestId", "")).lower())
    tracing = record.get("tracing")
    if isinstance(tracing, dict) and (found := _ROOT.search(str(tracing.get("value", "")))):
        made.trace = found[1]
    status = str(record.get("status", "success")).lower()
    if name in ("report", "runtimeDone", "initReport", "initRuntimeDone", "restoreReport") and status in (
        "timeout", "error", "failure",
    ):  # fmt: skip
        metrics = record.get("metrics")
        full = isinstance(metrics, dict) and _is_full(metrics)
        made.level = Level.FATAL
        made.text = _state(status, str(record.get("errorType", "") or ""), full=full)
    if name in ("initReport", "initRuntimeDone"):
        made.platform = "init" if made.level is Level.FATAL else "other"
    elif name not in ("start", "report", "end"):
        made.platform = "report" if name == "runtimeDone" else "other"
    return made


def _is_full(metrics: Mapping[str, Any]) -> bool:
    used, size = metrics.get("maxMemoryUsedMB"), metrics.get("memorySizeMB")
    return isinstance(used, int | float) and isinstance(size, int | float) and used >= size > 0


def _state(status: str, kind: str, *, full: bool = False) -> str:
    if full and kind in ("", "Runtime.ExitError"):
        return OUT_OF_MEMORY  # memory that is used up also ends as a time-out, and a replay meets the same limit
    if status == "timeout":
        return _TIMED_OUT_TEXT
    return kind


def _death(stated: str) -> str:
    if "signal: killed" in stated:
        return OUT_OF_MEMORY
    return stated.strip()
