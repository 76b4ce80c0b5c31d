"""The heads of log lines: time, level, thread and logger that stand before what was stated. Pure."""

from __future__ import annotations

import re

from recovery.failures.logs.records import NAMES, Level, Record

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,:]\d{1,9})?(?:\s?[AP]M)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|CES?T|[+\-]\d\d:?\d\d))?"
_TIME = (
    r"(?:"
    rf"\d{{4}}[\-/.]\d\d[\-/.]\d\d[T ,_:]{{1,2}}{_CLOCK}{_ZONE}"
    rf"|\d{{1,2}}[\-/. ](?:{_MONTH}|\d{{1,2}})[\-/. ]\d{{2,4}}[ ,:T]{{1,2}}{_CLOCK}{_ZONE}"
    rf"|(?:[A-Z][a-z]{{2}},? )?{_MONTH} {{1,2}}\d{{1,2}},? (?:\d{{4}},? {{1,2}})?{_CLOCK}{_ZONE}(?: \d{{4}})?"
    rf"|{_CLOCK}|\d{{1,2}}:\d\d[AP]M"
    r"|\d{10}(?:\.\d{1,9})?|\d{13}"
    r")"
)
_LEVELS = (
    r"(?:TRACE|TRCE|VERBOSE|VRB|DEBUG|DBUG|DBG|FINEST|FINER|FINE|CONFIG|INFO|INF|INFORMATION|NOTICE|SUCCESS|"
    r"WARN|WARNING|"
    r"WRN|ERROR|ERR|FAIL|SEVERE|FATAL|FTL|CRITICAL|CRIT|DPANIC|PANIC|ALERT|EMERG|EMERGENCY)"
)
# Between the time and the level: brackets, pairs, names of hosts, threads, processes and loggers, ids, separators.
_PIECE = (
    r"(?:\[[^\[\]\n]{0,100}\]|\([^()\n]{0,60}\)|<[^<>\n]{0,40}>|"
    r"[\w.$:/@#=+,\-~*%]{1,120}(?:\[[\w.]{1,20}\])?:?|[|–—\-])"
)
_BEGINS = re.compile(rf"[\[(<*]{{0,2}}{_TIME}(?=[\s\],|)\-:;]|$)[\])>;,:]{{0,2}}")
_LEVELLED = re.compile(
    rf"(?:[\s|,]{{0,8}}{_PIECE}[\s|]{{1,8}}){{0,7}}?[\s|,]{{0,8}}"
    rf"(?:[\[(<|]{{1,2}}\s?(?P<boxed>(?i:{_LEVELS}))(?:\[\d{{1,9}}\])?\s{{0,8}}[\])>|]"
    rf"|[\[(<|]{{0,2}}\s?(?:[\w\-]{{1,40}}\.)?(?P<level>{_LEVELS})(?:/[\w\-:]{{1,60}}(?=\]))?\s{{0,8}}[\])>|]{{0,2}}"
    r"(?=[\s:|,\-\[(]|$))"
)
_SMALL = re.compile(
    r"(?:[\s|]{1,8}[\w\-=:./\[\]]{1,60}){0,2}[\s|]{1,8}(?P<level>[a-z]{3,11})(?=:\s|\t|\s{2}|\s?\|)|[\s|]{1,8}(?P<boxed>[a-z]{3,11})(?=\s)"
)
_BARE = re.compile(
    rf"(?:\[(?P<boxed>{_LEVELS}|[a-z]{{3,11}})\s{{0,8}}\]|(?P<level>{_LEVELS}|DEBU|ERRO|FATA|PANI)(?=[\s:|\-\]\[(]|$)"
    r"(?:\[\d{4,8}\])?|(?P<small>[a-z]{3,8})(?=:\s))"
)
_NEST = re.compile(
    rf"\[[A-Z]\w{{1,20}}\] \d{{1,9}}\s{{1,4}}- {_TIME}\s{{1,10}}(?P<level>[A-Z]{{3,8}})(?: \[[^\]\n]{{1,60}}\])? "
)
# Between the level and the message: process, thread in brackets, logger, place in the source, and what ends them.
_AFTER = re.compile(
    r"[\s:|,\->]{0,12}"
    r"(?:\d{1,8} --- (?:\[[^\]\n]{0,100}\] ){1,3}\s{0,4}[\w.$\[\]/\-]{1,120}\s{0,60}: "
    r"|(?:\[[^\[\]\n]{0,120}\][\s:|\-]{0,8}){1,5}(?:[\w.$/@\-]{1,120}(?:\s{1,60}:| -) )?"
    r"|-- \S{0,60}: "
    r"|(?:[^\s\"'=]{0,80}[.:/()\]][^\s\"'=]{0,80}\s{1,8}){1,3}- "
    r"|[\w.$/@\-:]{1,120}\s{0,60}(?: - |\|\s?)(?:\d{1,6} - )?"
    r"|(?:\w{1,60}\{[^{}\n]{0,200}\}:){0,4}\s?(?:\w{1,60}::){1,8}\w{1,60}(?:\] |: ?)"
    r"|(?:\w{1,60}\{[^{}\n]{0,200}\}:){1,4}\s?(?:\w{1,60}: )?"
    r"|[\w.$]{1,80}(?::\d{1,6})?\]\s{1,4}"
    r"|[\w.$/@\-]{1,120}(?:\[\d{1,9}\]|\s{2,60}): ?"
    r"|[\w.\-]{1,80} : (?:\[[\w.\-]{1,60}\] )?"
    r"|[\w./\-]{1,120}\.[a-z]{1,5}:\d{1,6}[\s:]{1,4}(?!in )"
    r")?"
)
_THROWN = re.compile(r"(?<![\w.:$])[\w.:$]{0,100}(?:Error|Exception|Timeout|Fault|Failure)\s?: ?$")
# Python's short form, `ERROR:name:message`.
_NAMED = re.compile(r":[\w.\-]{1,80}:(?=\S)")
_CATEGORY = re.compile(r": [\w.`+]{1,200}\[\d{1,9}\]\s{0,4}")
_RUBY = re.compile(r"(?P<level>[DIWEFUA]), \[(?P<time>[^\]\n]{10,60})\]\s{1,4}(?P<name>[A-Z]{3,7}) -- [^:\n]{0,60}: ?")
_KLOG = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d{1,9}\s{1,8}\d{1,9} [\w./\-]{1,120}:\d{1,6}\] ")
_SYSLOG = re.compile(r"<(?P<code>\d{1,3})>(?:1 )?")
_LAMBDA = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\t(?P<request>[0-9a-f]{8}-[0-9a-f\-]{27}|undefined)(?:\t|$)"
    r"(?:(?P<level>[A-Z]{4,8})\t)?"
)
_LAMBDA_PYTHON = re.compile(
    r"\[(?P<level>[A-Z]{4,8})\]\t(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\t(?P<request>[0-9a-f\-]{36})?\t"
)
_TAGS = re.compile(r"(?:\[[^\[\]\n]{1,80}\] ){1,6}")
_THREAD = re.compile(r"\[([^\[\]\n]{1,100})\]")
_PAIR_THREAD = re.compile(r"\b(?:tid|thread|worker|goroutine|jid)=([\w\-]{1,60})")
_LEVEL_CODES = {
    "D": Level.DEBUG,
    "I": Level.INFO,
    "W": Level.WARN,
    "E": Level.ERROR,
    "F": Level.FATAL,
    "A": Level.ERROR,
}
_HEAD = 400
"""Characters of a line in which its head stands."""


_USUAL = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+\-]\d\d:?\d\d)? {1,3}"
    r"(?:\[([\w\-./#:]{1,60})\] {1,3})?(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL) {1,6}(?=[\w\"'(\[])"
)
_THREAD_REACH = 60
"""Characters behind a level in which the name of the thread stands."""
_LEVEL_OF = {name.upper(): level for name, level in NAMES.items()}
_DIGITS = frozenset("0123456789")
_OPENINGS = frozenset("[(<*")
TIMES = frozenset("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun".split())  # noqa: SIM905
LEVEL_STARTS = frozenset(name[:3] for name in NAMES)


def read_usual(line: str) -> Record | None:
    """The record that the commonest head begins (time, thread, level), read at a fifth of the cost; else None."""
    found = _USUAL.match(line)
    if found is None:
        return None
    thread, name = found[1], found[2]
    level = _LEVEL_OF[name]
    end = found.end()
    if thread is None:
        if level <= Level.INFO and line.find("[", end, end + _THREAD_REACH) < 0:
            return Record(level, line[end:], structured=True)
        thread = ""
    elif thread.lower() in NAMES:
        return None
    if " level=" in line:
        return None
    text = _message(line, line[:_HEAD], found.end(2))
    return Record(level, text, structured=True, thread=thread or _thread(line[end : len(line) - len(text)]))


def read_line(line: str) -> Record | None:
    """The record that a line of text begins; None when it begins like none."""
    first = line[:1]
    if first in _DIGITS:
        if "\t" in line[:62] and (found := _LAMBDA.match(line)):
            return _of_lambda(line, found)
    elif first in _OPENINGS:
        if first == "[":
            if "]\t" in line[:12] and (found := _LAMBDA_PYTHON.match(line)):
                return _of_lambda(line, found)
            if found := _NEST.match(line[:_HEAD]):
                level = NAMES.get(found["level"].lower(), Level.INFO)
                return Record(level=level, text=line[found.end() :], structured=True)
    elif line[:3] not in TIMES and line[:3].lower() not in LEVEL_STARTS:
        if line[1:3] != ", " and not line[1:5].isdigit():
            return None
        if found := _RUBY.match(line[:_HEAD]) or _KLOG.match(line[:_HEAD]):
            end = found.end()
            tags = _TAGS.match(line[:_HEAD], end)
            level = _LEVEL_CODES.get(found["level"], Level.NONE)
            return Record(level=level, text=line[tags.end() if tags else end :], structured=True)
        return None
    return _by_time_or_level(line, line[:_HEAD])


def _of_lambda(line: str, found: re.Match[str]) -> Record:
    request = found["request"] or ""
    level = NAMES.get((found["level"] or "").lower(), Level.NONE)
    text = line[found.end() :]
    return Record(level=level, text=text, request="" if request == "undefined" else request, structured=True)


def _by_time_or_level(line: str, head: str) -> Record | None:
    start = 0
    if head[:1] == "<" and (found := _SYSLOG.match(head)):
        start = found.end()
    if found := _BEGINS.match(head, start):
        return _timed(line, head, found.end(), _priority(head) if start else Level.NONE)
    if found := _BARE.match(head):
        name = (found["boxed"] or found["level"] or found["small"]).lower()
        level = NAMES.get(name, Level.NONE)
        if named := _NAMED.match(head, found.end()):
            return Record(level=level, text=line[named.end() :])
        if level and (found["small"] is None or name in _SMALL_NAMES):
            return Record(level=level, text=_message(line, head, found.end()))
    return None


_SMALL_NAMES = frozenset(("trce", "dbug", "info", "warn", "fail", "crit", "error", "debug", "verbose"))


def _timed(line: str, head: str, end: int, level: Level) -> Record:
    colon = head[end - 1 : end] == ":"
    found = _LEVELLED.match(head, end) or _SMALL.match(head, end)
    if found and _plausible(head, end, found):
        name = (found["level"] or found["boxed"] or "").lower()
        if name in NAMES:
            before = head[end : found.start("level") if found["level"] else found.start("boxed")]
            record = Record(level=NAMES[name], text=_message(line, head, found.end()), structured=True)
            record.thread = _thread(before) or _thread(head[found.end() : len(line) - len(record.text)])
            return record
    if colon and end < 12:
        return Record(level=level, text=line[end:].lstrip(), structured=True)
    return Record(level=level, text=line[end:].lstrip(" \t|:-"), thread=_thread(head[end : end + 200]), structured=True)


_PROSE = re.compile(r"(?:[a-z]{2,20}[ ]){3}")


def _plausible(head: str, end: int, found: re.Match[str]) -> bool:
    """False when a sentence stands before the level: a head has no three small words in a row."""
    place = found.start("level") if found["level"] else found.start("boxed")
    return _PROSE.search(head, end, place) is None


def _message(line: str, head: str, end: int) -> str:
    if _CATEGORY.fullmatch(line, end):
        return ""  # .NET's console writes the message beneath
    found = _AFTER.match(head, end)
    if found is None:
        return line[end:]
    if line[found.end() - 2 : found.end()] in (": ", " :") and (thrown := _THROWN.search(head, end, found.end())):
        return line[thrown.start() :]  # no logger, but the class of an exception
    return line[found.end() :]


def _thread(part: str) -> str:
    found = _PAIR_THREAD.search(part) if "=" in part else None
    if found is None and "[" in part:
        found = _THREAD.search(part)
    return found[1].strip() if found else ""


def _priority(head: str) -> Level:
    """The severity in a syslog priority."""
    found = _SYSLOG.match(head)
    severity = int(found["code"]) % 8 if found else 6
    return (
        Level.FATAL if severity < 3 else Level.ERROR if severity == 3 else Level.WARN if severity == 4 else Level.INFO
    )


_LOGFMT = re.compile(r"(?:^|\s)(?:level|lvl|severity|at)=\"?([A-Za-z]{3,13})\"?(?=\s|$)")
_PAIR = re.compile(r"(?:^|(?<=\s))([\w.\-@]{1,60})=(\"(?:[^\"\\\n]|\\.){0,8000}\"|[^\s\"]{0,2000})")
_TEXT_FIELDS = ("msg", "message", "event")
_FAILS = re.compile(
    r"(?:^|[._\-])(?:err|errs|error|errors|exception|exc|reason|cause|code|status|status_?code|stack|"
    r"stacktrace|trace|fault|"
    r"failure|detail|details|response)(?:$|[._\-](?:message|msg|type|class|kind|code|text|stack|detail))|"
    r"(?:Error|Exception|Reason|Cause|Code|Status|Fault)$",
    re.IGNORECASE,
)


def read_pairs(line: str) -> Record | None:
    """The record that a line of `key=value` pairs is (logfmt); None when it is none."""
    if "l=" not in line and "severity=" not in line and "at=" not in line:
        return None
    level = _LOGFMT.search(line[:_HEAD])
    if level is None or level[1].lower() not in NAMES:
        return None
    stated: list[str] = []
    errors: list[str] = []
    thread = ""
    for found in _PAIR.finditer(line):
        name, value = found[1], found[2]
        if value[:1] == '"':
            value = value[1:-1]
            if "\\" in value:
                value = _unquoted(value)
        if name in _TEXT_FIELDS:
            stated.append(value)
        elif name in ("tid", "thread", "worker", "goroutine", "jid"):
            thread = value
        elif _FAILS.search(name) and name not in ("level", "status_level") and value:
            errors.append(value if name.lower() in ("err", "error", "exception") else f"{name}: {value}")
    if not stated and not errors:
        return None
    return Record(level=NAMES[level[1].lower()], text="\n".join([*stated, *errors]), thread=thread, structured=True)


_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\n"}


def _unquoted(value: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), value)
