"""Codes of failure in the position of a code: HTTP, gRPC, SQLSTATE, database vendors, SMTP, curl, errno, Windows.

A number counts only where a code stands (`status code 503`, `503 Service Unavailable`), never as a substring: order
40123 is no 401, and 503 rows are no outage. Codes come out as `family:value`, for instance `http:503` or `pg:40001`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

Code = tuple[str, int, int]
"""`family:value`, and where it stands in the text (start, end)."""

_UNITS = (
    r"(?!\s?(?:rows?|records?|items?|messages?|bytes?|ms\b|milliseconds?|s\b|secs?\b|seconds?|minutes?|"
    r"mins?\b|hours?|days?|[km]i?b\b|"
    r"chars|characters|lines?\b|entries|files?|objects?|events?|documents?|docs\b|times|attempts?|retries|"
    r"users?|orders?|"
    r"columns?|pages?|units?|results?|values?|products?|keys?|nodes?|tasks?|jobs?|tests?|requests? (?:processed|sent)|"
    r"(?:\w{2,20} ){1,2}(?:rows|records|items|messages|files|objects|events|orders|entries)\b|%|of\b|/))"
)
_HTTP_BEFORE = (
    r"(?:\bhttp(?:/\d(?:\.\d)?)?|https?[\s_-]?(?:status|error|code|response|exception|failure)(?:[\s_-]?code)?|"
    r"\bstatus(?:[\s_-]?code)?(?: of)?|statuscode|status_code|status-code|httpcode|"
    r"\bresponse(?:[\s_-]?(?:code|status(?:[\s_-]?code)?))?(?: (?:was|of))?|"
    r"responsecode|errorcode|error(?:[\s_-]?code)?|\bcode|exception|failure|"
    r"\breturn(?:ed|s)?(?: with)?(?: an?)?|\brespond(?:ed|s)?(?: with)?(?: an?)?|\brepl(?:ied|"
    r"y)(?: with)?(?: an?)?|\breceived(?: an?)?|"
    r"\bgot(?: an?)?|\banswered(?: with)?(?: an?)?|\bfailed(?: with)?(?: an?)?|\bthrew(?: an?)?|"
    r"\bgave(?: an?)?|\bsa(?:ys|id)|\bunexpected|\banswer)"
    r"(?: http)?(?: error)?(?: status)?(?: code)?(?: is| was)?[\"'`]?\s{0,3}(?:=>|[:=\-(\[<,])?\s{0,3}[(\[\"'`]?"
)
_REASONS = (
    r"bad request|unauthorized|unauthorised|payment required|forbidden|not found|method not allowed|not acceptable|"
    r"proxy authentication|request time-?out|conflict|gone\b|length required|precondition failed|payload too large|"
    r"request entity too large|content too large|uri too long|request-uri too|unsupported media type|"
    r"range not satisfiable|expectation failed|"
    r"i'?m a teapot|misdirected|unprocessable|locked\b|failed dependency|too early|upgrade required|"
    r"precondition required|"
    r"too many requests|request header|unavailable for legal|client closed|internal server error|"
    r"internal error|internal_server_error|"
    r"not implemented|bad gateway|service (?:temporarily )?unavailable|service is unavailable|"
    r"gateway time-?out|http version|variant also|"
    r"insufficient storage|loop detected|bandwidth limit|network authentication|client error|server error|error\b|"
    r"web server is down|connection timed out|origin is unreachable|a timeout occurred|"
    r"ssl handshake failed|invalid ssl|slow ?down|too_many|"
    r"unavailable\b|overloaded"
)
# A bare code in parentheses, or right behind the words of a failure or a request: "upload failed (503)", "GET /x: 502".
_HTTP_BARE = (
    r"(?:(?:fail(?:ed|ure)?|error|refused|rejected|denied|unavailable|exception|unauthorized|forbidden|"
    r"limit|gateway|bad|call|request)"
    r"(?:[^\d\n]{0,11}[^\w\n])?[(\[]|(?:get|post|put|patch|delete|head) \S{1,50}? (?:->|=>|→|-|:|returned|failed:?|"
    r"resulted in(?: an?)?)? ?[`'\"(]?|(?:->|=>|→) ?)"
)

_GRPC_NAMES = (
    "cancelled|canceled|unknown|invalid_?argument|deadline_?exceeded|not_?found|already_?exists|permission_?denied|"
    "resource_?exhausted|failed_?precondition|aborted|out_?of_?range|unimplemented|internal|unavailable|"
    "data_?loss|unauthenticated"
)
_GRPC_NAME = re.compile(rf"(?:{_GRPC_NAMES})(?![\w])")
_GRPC_BEFORE = re.compile(
    r"(?:\bcode\s?=\s?|statuscode[.=:\s\"'(]{1,4}|statusruntimeexception: |statusexception: |"
    r"rpcexception: status\(statuscode=\"?|\bgrpc[\w\- ]{0,20}[:=(\s\"']{1,3}|\bstatus\"?: \"?|code\": ?\"|code: '?|"
    r"\b(?:1[0-6]|[1-9]) )$"
)
_GRPC_NUMBER = re.compile(
    r"(?:\brpc error:? code\s?=\s?|grpc[-_ ]status(?:[-_ ]code)?[\"']?\s?[:=]\s?[\"']?)(\d{1,2})\b"
)
_GRPC_BY_NUMBER = (
    "", "cancelled", "unknown", "invalidargument", "deadlineexceeded", "notfound", "alreadyexists", "permissiondenied",
    "resourceexhausted", "failedprecondition", "aborted", "outofrange", "unimplemented", "internal", "unavailable",
    "dataloss", "unauthenticated",
)  # fmt: skip

_SQLSTATE = re.compile(r"sql[\s_]?state\"?'?\s{0,2}[:=\[(]{0,2}\s{0,2}[\"'(\[]?([0-9a-z]{5})\b")
_PG_CODE = re.compile(r"\b(?:code|pgcode|error code)\"?'?\s?[:=]\s?[\"']([0-9][0-9a-z]{4})[\"']")
_ORACLE = re.compile(r"\b(ora|tns|pls|sp2|ogg|imp|drg)-(\d{4,5})\b")
_MSSQL = re.compile(
    r"(?:\bmsg |error number:? ?|sql ?server error:? ?|\berror:? |\bnumber:? |"
    r"native ?error\"?:? ?=?\s{0,2}|\bmssql[^\n]{0,20}? |\()$"
)
_MYSQL = re.compile(
    r"(?:\berror:? ?#?|\(|\[|err(?:or)?[ _]?no\"?'?:? ?=?|native ?error\"?:? ?=?\s{0,2}|\berror code:? ?|"
    r"\bmysql[^\n]{0,20}? |violation: |"
    r"truncated: |not found: |denied: |general error: |format: |failure: )$"
)
_DB2 = re.compile(r"\b(sql\d{4,5})[nce]\b|sqlcode[=:\s]{1,3}(-\d{1,5})|sql error: sqlcode=(-\d{1,5})")
_SMTP = re.compile(
    r"(?:^|[\s:(\[\"'>=])([245]\d\d)[\s\-]#?([245]\.\d{1,3}\.\d{1,3})\b|"
    r"\bsmtp[\w\s:]{0,30}?[\s:(\[]([45]\d\d)\b|\b([45]\.\d{1,3}\.\d{1,3})\b"
)
_ENHANCED = re.compile(r"[45]\.\d{1,3}\.\d")
_CURL = re.compile(
    r"\bcurl(?:error|exception)?[:\s]{1,2}(?:error:? )?\(?(\d{1,2})\)?\b|\bcurl error (\d{1,2})\b|curle_(\w{1,40})"
)
_ERRNO = re.compile(
    r"\b(?:errno|os error|winerror|socketerrorcode|wsa error|socket error|system error)\W{0,4}(-?\d{1,5})\b"
)
_HRESULT = re.compile(r"\b0x8[0-9a-f]{7}\b")
_SNOWFLAKE = re.compile(r"\b(?:errorcode\"?: ?\"?|error code:? )?(0000\d\d|000\d{3}|390\d{3}|1001\d\d)\b(?=[ \"(:])")


def codes_in(text: str, words: Set[str], wanted: Set[str]) -> Iterator[Code]:
    """Yield the codes in a text (lower case, single blanks).

    Args:
        text: one error.
        words: its words: a family of codes is only looked for where its words stand, which is most of the speed.
        wanted: the codes that any rule asks for; numbers that are none of them are not looked at.
    """
    numbers = [word for word in words if word[0] in "0123456789"]
    if not numbers and words.isdisjoint(_CODE_WORDS):
        return
    lengths = {len(number) for number in numbers}
    if 3 in lengths:
        statuses = [number for number in numbers if len(number) == 3 and "http:" + number in wanted]
        if statuses:
            yield from _http(text, statuses)
    if 1 in lengths or 2 in lengths or not words.isdisjoint(_GRPC_CONTEXT):
        for word in words & _GRPC_NAMED:
            yield from _grpc(text, word)
    if numbers and ("rpc" in words or "grpc" in words):
        for found in _GRPC_NUMBER.finditer(text):
            number = int(found[1])
            if 0 < number < len(_GRPC_BY_NUMBER):
                yield "grpc:" + _GRPC_BY_NUMBER[number], *found.span()
    if "sqlstate" in words or ("state" in words and "sql" in words):
        yield from _all(_SQLSTATE, "sqlstate", text)
    if 5 in lengths and ("code" in words or "pgcode" in words):
        yield from _all(_PG_CODE, "sqlstate", text)
    if not words.isdisjoint(_ORACLE_WORDS):
        for found in _ORACLE.finditer(text):
            yield f"{found[1]}:{found[2].zfill(5)}", *found.span()
    if numbers:
        yield from _databases(text, words, numbers, wanted)
    if "sqlcode" in words or "sql0" in text or "sql1" in text or "sql3" in text:
        yield from _all(_DB2, "db2", text)
    if (3 in lengths and "smtp" in words) or (
        (("5" in words and "5." in text) or ("4" in words and "4." in text)) and _ENHANCED.search(text)
    ):
        yield from _smtp(text, words)
    if "curl" in words or "curlexception" in words or "curle" in words:
        yield from _all(_CURL, "curl", text)
    if numbers and not words.isdisjoint(_ERRNO_WORDS):
        yield from _all(_ERRNO, "errno", text)
    if "0x8" in text:
        for found in _HRESULT.finditer(text):
            yield f"hresult:{found[0][2:]}", *found.span()
    if 6 in lengths:
        yield from _all(_SNOWFLAKE, "snowflake", text)


_GRPC_NAMED = frozenset(
    [
        "cancelled",
        "canceled",
        "invalidargument",
        "invalid",
        "deadline",
        "deadlineexceeded",
        "not",
        "notfound",
        "already",
        "alreadyexists",
        "permission",
        "permissiondenied",
        "resource",
        "resourceexhausted",
        "failed",
        "failedprecondition",
        "aborted",
        "outofrange",
        "unimplemented",
        "internal",
        "unavailable",
        "dataloss",
        "unauthenticated",
    ]
)
_GRPC_CONTEXT = frozenset(
    ["code", "rpc", "grpc", "status", "statuscode", "statusruntimeexception", "statusexception", "rpcexception"]
)
_ORACLE_WORDS = frozenset({"ora", "tns", "pls", "sp2", "ogg", "imp", "drg"})
_ERRNO_WORDS = frozenset({"errno", "os", "winerror", "socketerrorcode", "wsa", "socket", "system"})
_CODE_WORDS = _GRPC_CONTEXT | _ORACLE_WORDS | {"curl", "curle", "sqlcode", "sqlstate"}
_MICROSOFT = frozenset(
    {"sqlserver", "mssql", "sqlclient", "sqlexception", "severity", "tds", "pymssql", "azure", "msg"}
)


def _all(pattern: re.Pattern[str], family: str, text: str) -> Iterator[Code]:
    for found in pattern.finditer(text):
        value = next((group for group in found.groups() if group), "")
        if value:
            yield f"{family}:{value}", *found.span()


_BEFORE = re.compile(_HTTP_BEFORE + r"$")
_AFTER = re.compile(r"(?![.,]\d|-\d)" + _UNITS)
_AFTER_REASON = re.compile(r"[\"'`)\]]?\s?[:,\-–]?\s?[(\"'`{\[]?(?:" + _REASONS + ")")
_BARE = re.compile(_HTTP_BARE + r"$")
# At the end behind who answered, "payment gateway 503"; in brackets behind a colon in any language, "Fehler: (503)".
_ANSWERED = re.compile(
    r"(?:^|[\s\"'(\[{,;:./\-_])(?:gateway|service|upstream|downstream|provider|apis?|backend|server|endpoint|proxy|"
    r"origin|carrier|bank|partner|webhook|vendor|remote|host|dienst|servidor|serveur|servizio|serviço|servicio)"
    r"[\"')\]]{0,2}(?: (?:error|failed|failure|said|answer(?:ed)?|status|responded|returned|down|unavailable))?"
    r"\s?[:\-–>=(\[]{0,2}\s?[\"']?$"
)
_ENDS = re.compile(
    r"[\"'`)\]]{0,2}\s?(?:$|[.;,!)\]}|](?:\s|$)|\((?:[a-z]|$)|(?:from|for|on|at|while|when|during|after|by|in) )"
)
# Behind who answered and a colon, or first of all, with the answer itself behind: `Zendesk: 429 - {"error": ...`.
_WITH_ANSWER = re.compile(r"\s?[:\-–]?\s?(?:\{\s?\"|\[\s?\{|<[a-z!?])")
_OPENS_ANSWER = re.compile(r"(?:^|[a-z)\]\"'][:：] ?)$")
_BRACKETED = re.compile(r"[:：]\s?\($")


def _http(text: str, statuses: list[str]) -> Iterator[Code]:
    """Statuses, found from the number outwards: what stands before or after it must make it one."""
    for status in statuses:
        end = 0
        for _ in range(_MOST_PLACES):
            start = text.find(status, end)
            if start < 0:
                break
            end = start + 3
            if start and (text[start - 1].isalnum() or text[start - 1] in "._"):
                continue
            if text[end : end + 1].isalnum() or text[end : end + 1] == "_":
                continue
            if _is_status(text, start, end):
                yield "http:" + status, start, end
                break


def _grpc(text: str, word: str) -> Iterator[Code]:
    """A status name of gRPC that begins with this word, where such a name stands."""
    start = -1
    for _ in range(_MOST_PLACES):
        start = text.find(word, start + 1)
        if start < 0:
            return
        found = _GRPC_NAME.match(text, start)
        if found is not None and _GRPC_BEFORE.search(text[max(0, start - 40) : start]):
            # `14 unavailable` counts only as `14 UNAVAILABLE: ...`, with a colon behind.
            if (
                text[start - 1 : start] == " "
                and text[start - 2 : start - 1].isdigit()
                and text[found.end() : found.end() + 1] != ":"
            ):
                continue
            yield "grpc:" + found[0].replace("_", "").replace("canceled", "cancelled"), start, found.end()
            return


_MOST_PLACES = 12
"""Places of one number in a text that are looked at."""


def _is_status(text: str, start: int, end: int) -> bool:
    failing = text[start] in "45"
    if failing and text[start - 1 : start] not in ("-", "#", "$", "/") and _AFTER_REASON.match(text, end):
        return True
    if not _AFTER.match(text, end):
        return False
    before = text[max(0, start - 60) : start]
    if _BEFORE.search(before):
        return True
    if not failing:
        return False
    if _WITH_ANSWER.match(text, end) and _OPENS_ANSWER.search(before):
        return True
    if _BARE.search(before) or (text[end : end + 1] == ")" and _BRACKETED.search(before)):
        return True
    return _ENDS.match(text, end) is not None and _ANSWERED.search(before) is not None


def _databases(text: str, words: Set[str], numbers: list[str], wanted: Set[str]) -> Iterator[Code]:
    """Numbers of MySQL and of SQL Server: the same number means another thing in the other."""
    if not words.isdisjoint(_MICROSOFT) or ("sql" in words and "server" in words):
        family, before = "mssql", _MSSQL
    else:
        family, before = "mysql", _MYSQL
    for number in numbers:
        if f"{family}:{number}" not in wanted or (family == "mysql" and len(number) != 4):
            continue
        end = 0
        for _ in range(_MOST_PLACES):
            start = text.find(number, end)
            if start < 0:
                break
            end = start + len(number)
            if text[end : end + 1].isalnum() or (start and text[start - 1].isalnum()):
                continue
            follows = text[end : end + 2]
            # (1045, "Access denied ..."), [2002], (18456): the bracket closes right behind, or a text follows.
            opening = text[start - 1 : start]
            if opening == "(" and not follows.startswith((", ", ",'", ',"', ")")):
                continue
            if opening == "[" and not follows.startswith("]"):
                continue
            if (start == 0 and follows == " (") or before.search(text[max(0, start - 32) : start]):
                yield f"{family}:{number}", start, end
                break


def _smtp(text: str, words: Set[str]) -> Iterator[Code]:
    mail = "smtp" in words or not words.isdisjoint(_MAIL_WORDS)
    for found in _SMTP.finditer(text):
        basic, enhanced, plain, alone = found.groups()
        if basic and enhanced:
            yield f"smtp:{basic}", *found.span()
            yield f"smtp:{enhanced}", *found.span()
        elif plain:
            yield f"smtp:{plain}", *found.span()
        elif alone and mail:
            yield f"smtp:{alone}", *found.span()


_MAIL_WORDS = frozenset({"mailbox", "recipient", "sender", "mail", "email", "smtpexception", "smtplib", "nodemailer"})
