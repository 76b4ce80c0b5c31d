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
    r"(?!\s?(?:rows?|records?|items?|messages?|bytes?|ms\b|milliseconds?|s\b|secs?\b|seconds?|minutes?|mins?\b|hours?|days?|[km]i?b\b|"
    r"chars|characters|lines?\b|entries|files?|objects?|events?|documents?|docs\b|times|attempts?|retries|users?|orders?|"
    r"columns?|pages?|units?|requests? (?:processed|sent)|%|of\b|/))"
)
_HTTP_BEFORE = (
    r"(?:\bhttp(?:/\d(?:\.\d)?)?|https?[\s_-]?(?:status|error|code|response|exception|failure)(?:[\s_-]?code)?|"
    r"\bstatus(?:[\s_-]?code)?(?: of)?|statuscode|status_code|status-code|httpcode|\bresponse(?:[\s_-]?(?:code|status(?:[\s_-]?code)?))?(?: (?:was|of))?|"
    r"responsecode|errorcode|\berror(?:[\s_-]?code)?|\bcode|\bexception|"
    r"\breturn(?:ed|s)?(?: with)?(?: an?)?|\brespond(?:ed|s)?(?: with)?(?: an?)?|\brepl(?:ied|y)(?: with)?(?: an?)?|\breceived(?: an?)?|"
    r"\bgot(?: an?)?|\banswered(?: with)?(?: an?)?|\bfailed(?: with)?(?: an?)?|\bthrew(?: an?)?|\bgave(?: an?)?|\bunexpected|\banswer)"
    r"(?: http)?(?: error)?(?: status)?(?: code)?(?: is| was)?[\"'`]?\s{0,3}(?:=>|[:=\-(\[<,])?\s{0,3}[(\[\"'`]?"
)
_HTTP = re.compile(_HTTP_BEFORE + r"([1-5]\d\d)(?![\w]|[.,]\d|-\d)" + _UNITS)
_REASONS = (
    r"bad request|unauthorized|unauthorised|payment required|forbidden|not found|method not allowed|not acceptable|"
    r"proxy authentication|request time-?out|conflict|gone\b|length required|precondition failed|payload too large|"
    r"request entity too large|content too large|uri too long|request-uri too|unsupported media type|range not satisfiable|expectation failed|"
    r"i'?m a teapot|misdirected|unprocessable|locked\b|failed dependency|too early|upgrade required|precondition required|"
    r"too many requests|request header|unavailable for legal|client closed|internal server error|internal error|internal_server_error|"
    r"not implemented|bad gateway|service (?:temporarily )?unavailable|service is unavailable|gateway time-?out|http version|variant also|"
    r"insufficient storage|loop detected|bandwidth limit|network authentication|client error|server error|error\b|"
    r"web server is down|connection timed out|origin is unreachable|a timeout occurred|ssl handshake failed|invalid ssl|slow ?down|too_many|"
    r"unavailable\b|overloaded"
)
_HTTP_REASON = re.compile(r"(?<![\w.\-#$/])([45]\d\d)[\"'`)\]]?\s?[:,\-–]?\s?[(\"'`{\[]?(?:" + _REASONS + ")")
# A bare code in parentheses, or between separators, right after a failing verb's phrase: "upload failed (503)", "GET /x: 502".
_HTTP_BARE = re.compile(
    r"(?:(?:fail(?:ed|ure)?|error|refused|rejected|denied|unavailable|exception|unauthorized|forbidden|limit|gateway|bad|call|request)"
    r"[^\d\n]{0,12}[(\[]|(?:get|post|put|patch|delete|head) \S{1,200}? (?:->|=>|→|-|:|returned|failed:?|resulted in(?: an?)?)? ?[`'\"(]?|(?:->|=>|→) ?)([45]\d\d)(?![\w]|[.,]\d|-\d)"
    + _UNITS
)
_THREE = re.compile(r"(?<![\w.])[1-5]\d\d(?!\w)")

_GRPC_NAMES = (
    "cancelled|canceled|unknown|invalid_?argument|deadline_?exceeded|not_?found|already_?exists|permission_?denied|"
    "resource_?exhausted|failed_?precondition|aborted|out_?of_?range|unimplemented|internal|unavailable|data_?loss|unauthenticated"
)
_GRPC = re.compile(
    rf"(?:\bcode\s?=\s?|statuscode[.=:\s\"'(]{{1,4}}|status_code\s?=\s?statuscode\.|statusruntimeexception: |statusexception: |"
    rf"rpcexception: status\(statuscode=\"?|\bgrpc[\w\- ]{{0,20}}[:=(\s\"']{{1,3}}|\"?status\"?: \"?|\"code\": ?\"|code: '?|"
    rf"\b(?:1[0-6]|[1-9]) (?=[a-z_]{{5,20}}: ))({_GRPC_NAMES})(?![\w])"
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
_PAREN_STATE = re.compile(r"\b(\d{4}) \(([0-9a-z]{5})\)")
_ORACLE = re.compile(r"\b(ora|tns|pls|sp2|ogg|imp|drg)-(\d{4,5})\b")
_MSSQL = re.compile(
    r"\bmsg (\d{2,5}), level|error number:? ?(-?\d{1,5})|sql ?server error:? ?(\d{2,5})|\berror: (\d{4,5}), severity|\bnumber:? (-?\d{1,5})[,\s]"
    r"{1,2}(?:state|severity)|sqlexception[^\n]{0,40}?\berror (\d{2,5})\b|native ?error\"?:? ?=?\s{0,2}(-?\d{2,5})|\bmssql[^\n]{0,20}? (\d{3,5})\b"
)
_MYSQL = re.compile(
    r"\berror:? ?#?(\d{4})\b(?! ?,? ?(?:rows|severity))|\((\d{4}), ?[\"']|\[(\d{4})\]|errno\"?'?:? ?=?(\d{4})\b|native ?error\"?:? ?=?\s{0,2}(\d{4})\b|"
    r"\berror code:? ?(\d{4})\b|\bmysql[^\n]{0,30}? (\d{4}):|\berr(?:or)?[ _]?no:? (\d{4})\b|^(\d{4}) \([0-9a-z]{5}\)|\b(\d{4}) \([0-9a-z]{5}\):"
)
_DB2 = re.compile(r"\b(sql\d{4,5})[nce]\b|sqlcode[=:\s]{1,3}(-\d{1,5})|sql error: sqlcode=(-\d{1,5})")
_SMTP = re.compile(
    r"(?:^|[\s:(\[\"'>=])([245]\d\d)[\s\-]#?([245]\.\d{1,3}\.\d{1,3})\b|\bsmtp[\w\s:]{0,30}?[\s:(\[]([45]\d\d)\b|\b([45]\.\d{1,3}\.\d{1,3})\b"
)
_CURL = re.compile(
    r"\bcurl(?:error|exception)?[:\s]{1,2}(?:error:? )?\(?(\d{1,2})\)?\b|\bcurl error (\d{1,2})\b|curle_(\w+)"
)
_ERRNO = re.compile(
    r"\b(?:errno|os error|winerror|socketerrorcode|wsa error|socket error|system error)\W{0,4}(-?\d{1,5})\b"
)
_HRESULT = re.compile(r"\b0x8[0-9a-f]{7}\b")
_SNOWFLAKE = re.compile(r"\b(?:errorcode\"?: ?\"?|error code:? )?(0000\d\d|000\d{3}|390\d{3}|1001\d\d)\b(?=[ \"(:])")
_EVENT = re.compile(r"^(?:eventbridge|scheduler|lambda):[\w.]+", re.ASCII)


def codes_in(text: str, words: Set[str]) -> Iterator[Code]:
    """Yield the codes in a text (lower case, single blanks); `words` are its words, to skip what cannot occur."""
    if _THREE.search(text):
        yield from _http(text)
    if "code" in words or "rpc" in words or "grpc" in words or "status" in words or not words.isdisjoint(_GRPC_WORDS):
        for found in _GRPC.finditer(text):
            yield "grpc:" + found[1].replace("_", "").replace("canceled", "cancelled"), *found.span()
        for found in _GRPC_NUMBER.finditer(text):
            number = int(found[1])
            if 0 < number < len(_GRPC_BY_NUMBER):
                yield "grpc:" + _GRPC_BY_NUMBER[number], *found.span()
    if "sqlstate" in words or "state" in words:
        yield from _all(_SQLSTATE, "sqlstate", text)
    if "code" in words or "pgcode" in words:
        yield from _all(_PG_CODE, "sqlstate", text)
    if not words.isdisjoint(_ORACLE_WORDS):
        for found in _ORACLE.finditer(text):
            yield f"{found[1]}:{found[2].zfill(5)}", *found.span()
    if (
        "error" in words
        or "errno" in words
        or "msg" in words
        or "nativeerror" in words
        or "mysql" in words
        or "number" in words
    ):
        yield from _databases(text, words)
    elif "(" in text:
        yield from _all(_MYSQL, "mysql", text)
    if "sqlcode" in words or "sql" in text:
        yield from _all(_DB2, "db2", text)
    if "smtp" in words or "recipient" in words or "mail" in words or "mailbox" in words or "." in text:
        yield from _smtp(text, words)
    if "curl" in words or "curlexception" in words:
        yield from _all(_CURL, "curl", text)
    if not words.isdisjoint(_ERRNO_WORDS):
        yield from _all(_ERRNO, "errno", text)
    if "0x8" in text:
        for found in _HRESULT.finditer(text):
            yield f"hresult:{found[0][2:]}", *found.span()
    if "00" in text:
        yield from _all(_SNOWFLAKE, "snowflake", text)


_GRPC_WORDS = frozenset(
    {"statuscode", "statusruntimeexception", "statusexception", "rpcexception", "unavailable", "deadline"}
)
_ORACLE_WORDS = frozenset({"ora", "tns", "pls", "sp2", "ogg", "imp", "drg"})
_ERRNO_WORDS = frozenset({"errno", "os", "winerror", "socketerrorcode", "wsa", "socket", "system"})
_MSSQL_WORDS = frozenset({"sqlserver", "mssql", "sqlclient", "sqlexception", "severity", "tds", "pymssql", "azure"})


def _all(pattern: re.Pattern[str], family: str, text: str) -> Iterator[Code]:
    for found in pattern.finditer(text):
        value = next((group for group in found.groups() if group), "")
        if value:
            yield f"{family}:{value}", *found.span()


def _http(text: str) -> Iterator[Code]:
    for pattern in (_HTTP, _HTTP_REASON, _HTTP_BARE):
        for found in pattern.finditer(text):
            yield "http:" + found[1], found.start(1), found.end()


def _databases(text: str, words: Set[str]) -> Iterator[Code]:
    microsoft = not words.isdisjoint(_MSSQL_WORDS) or "sql server" in text or ("msg" in words and "level" in words)
    if microsoft:
        yield from _all(_MSSQL, "mssql", text)
    else:
        yield from _all(_MYSQL, "mysql", text)


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
