"""Alike failures: one text without its values, and the group that it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from recovery.failures.masks import mask
from recovery.failures.models import Diagnosis, Kind
from recovery.failures.reading import read
from recovery.failures.signs import Sign, both, has_digit, holds, holds_word

CAP = 300
"""Characters of the longest normalised text."""

Replacement = tuple[Sign, re.Pattern[str], str]
"""A sign without which the pattern cannot match, the pattern, and the stand-in for the value."""
_DOMAINS = (
    *("com", "net", "org", "io", "local", "internal", "cloud", "dev", "amazonaws", "svc", "lan", "corp", "eu", "de"),
    *("uk", "fr", "co", "app", "example", "test", "cluster"),
)

# Before secrets are masked: a run of digits inside an id or a date would be taken for one, and tear it apart.
_WHOLE: tuple[Replacement, ...] = (
    (
        holds("arn:aws"),
        re.compile(r"\barn:aws[\w\-]{0,12}:[\w\-]{0,40}:[\w\-]{0,30}:\d{0,12}:[^\s\"'<>,;)\]}]{1,300}"),
        "<arn>",
    ),
    (
        holds("-"),
        re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"),
        "<id>",
    ),
    (
        has_digit,
        re.compile(r"\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+\-]\d\d:?\d\d)?)?"),
        "<time>",
    ),
)
# Rows and keys of databases, and fields that name a person: their values are a customer's.
_ROWS: tuple[Replacement, ...] = (
    (
        holds("("),
        re.compile(
            r"(?i)\b((?:row contains|zeile enthält|ligne en échec contient|fila que falla contiene|"
            r"linha que falhou contém|"
            r"riga fallita contiene|строка содержит|ошибочная строка содержит) ?)\([^\n]{0,2000}?\)(?=\.?(?:\s|$))"
        ),
        r"\1(…)",
    ),
    (holds("=("), re.compile(r"=\([^()\n]{0,400}\)"), "=(…)"),
    (
        holds_word("name=", "iban=", "dob=", "birth", "ssn=", "phone=", "street=", "address=", "city=", "user", "uid="),
        re.compile(
            r"(?i)\b((?:first_?|last_?|full_?|sur|given_?|family_?|user_?)?name|iban|dob|birth_?(?:day|date)|"
            r"ssn|phone|"
            r"street|address|city|user(?: ?id)?|uid)=(?![\"'])[^,;)\]}\n&\"']{1,200}"
        ),
        r"\1=<value>",
    ),
)
_VALUES: tuple[Replacement, ...] = (
    (holds("://"), re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s\"'<>`,;)\]}]{1,500}", re.IGNORECASE), "<url>"),
    (both(has_digit, holds(":")), re.compile(r"\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b"), "<time>"),
    (both(has_digit, holds(".")), re.compile(r"\[?\b(?:\d{1,3}\.){3}\d{1,3}\]?(?::\d{1,5})?\b"), "<host>"),
    (holds("["), re.compile(r"\[(?=[0-9a-fA-F]{0,4}:[0-9a-fA-F]{0,4}:)[0-9a-fA-F:]{2,45}\](?::\d{1,5})?"), "<host>"),
    (
        holds_word(*(f".{domain}" for domain in _DOMAINS)),
        re.compile(
            r"\b(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.){1,6}"
            rf"(?:{'|'.join(_DOMAINS)})\b"
            # `java.net` before a class is a package; and a host ends in lower case.
            r"(?:\.(?-i:[a-z]{2,8})\b){0,2}(?!\.(?-i:[A-Z]))(?::\d{1,5})?",
            re.IGNORECASE,
        ),
        "<host>",
    ),
    (
        holds_word("ip-", "localhost"),
        re.compile(r"\b(?:ip-[\d\-]{7,20}|localhost)(?::\d{1,5})?\b", re.IGNORECASE),
        "<host>",
    ),
    (
        holds("/", "\\"),
        re.compile(r"(?:[A-Za-z]:\\|(?<![\w<])/)(?:[\w.\-@+~ ]{1,80}[\\/]){1,20}[\w.\-@+~]{1,80}"),
        "<path>",
    ),
    (holds("0x"), re.compile(r"\b0x[0-9a-fA-F]{1,16}\b"), "<n>"),
    (holds("*"), re.compile(r"\*\*\*"), "<id>"),
    (holds("-"), re.compile(r"\b[a-z][a-z0-9\-]{0,60}-[0-9a-f]{6,10}-[0-9a-z]{5}\b"), "<host>"),
    (has_digit, re.compile(r"\b(?=\w{0,60}\d)[0-9a-fA-F]{8,64}\b"), "<id>"),
    (
        both(has_digit, holds("_", "-")),
        re.compile(r"\b[A-Za-z]{1,12}(?:[_\-][A-Za-z]{1,12}){0,3}[_\-](?=[\w\-]{0,40}\d)[\w\-]{3,60}\b"),
        "<id>",
    ),
    (has_digit, re.compile(r"\b(?=\w{0,60}\d)(?=\w{0,60}[A-Za-z])\w{10,80}\b"), "<id>"),
)
_STATUS = re.compile(
    r"((?<![\w.,<#$-])|(?<=\())([1-5]\d\d)(?=\)|[ :]{1,2}(?:Bad|Unauthori[sz]ed|Forbidden|Not|Conflict|"
    r"Unprocessable|Too|"
    r"Internal|Service|Gateway|Request|Payload|Method|Gone|Payment|Precondition|Unsupported|Locked|Client|Server)\b)"
)
# Numbers that name a cause keep their value: the group of a 503 is not that of a 404.
_KEEP = re.compile(
    r"(?i)((?:status(?: ?code)?|http(?:/\d\.\d)?|error(?: ?code)?|code|sql ?state|errno|ora-|returned|msg|"
    r"native ?error|response code)[\"']?\s{0,2}[:=(\[\-]{0,2}\s{0,2}[\"']?)([\dA-Z]{3,5})(?!\w)"
)
_NUMBER = re.compile(
    r"(?<![\w<§])[-+]?\d[\d.,]{0,40}(?:e[-+]?\d{1,4})?(?=(?:ms|s|kb|mb|gb|b|m|h|%|k)?\b)|\d{1,60}", re.IGNORECASE
)
_QUOTED = re.compile(r"([\"'`«“‘])([^\"'`«»“”‘’\n]{1,200})([\"'`»”’])")
# A quoted name of code (`KeyError: 'Records'`) separates causes; a quoted sentence or number is somebody's value,
# unless it stands behind a key that holds the error's own words.
_NAME = re.compile(r"[A-Za-z_$][A-Za-z_$.:\-]{0,39}")
# A name that only code has: joined by signs, in capitals, or in humps. A single word may be a person's.
_CODE_NAME = re.compile(
    r"[a-z_$]{1,30}(?:[_$.:\-]{1,2}[A-Za-z_$]{1,30}){1,6}|[A-Z_]{3,40}|[A-Za-z]{0,30}[a-z][A-Z][A-Za-z]{0,30}|"
    r"[A-Za-z_$]{1,30}(?:(?:\.|::)[A-Za-z_$]{1,30}){1,6}"
)
_CODE_BEFORE = re.compile(
    r"(?i)(?:error|exception|attribute|method|property|field|column|table|relation|class|type|module|reading|setting|"
    r"constraint|key|parameter|param|argument|function|object|index|operation|import|name|enum|element|tag|symbol|"
    r"constant|variable|option|header|schema|database|queue|topic|exchange|vhost|arg|operator|of|for key|to|as|from)"
    r"\"?[:\s(\[]{1,3}$"
)
_PERSON_BEFORE = re.compile(
    r"(?i)(?:\buser|\baccount|\bcustomer|\bperson|\bpatient|\bentry|\bvalue|\bstring|\blogin|\busername|"
    r"\bbase \d{1,3}:|\bbuyer|\bmember|\bowner|\bbenutzer|\butilisateur|\busuario|\busuário|\butente|"
    r"пользовател\w{1,4})[:=]?\s{0,2}$"
)
_PLACES = re.compile(r"(?:<\w{1,8}>[/:.,\- ]{0,2}){1,6}")
_SPOKEN_STATUS = re.compile(r"[1-5]\d\d(?: [A-Z][A-Za-z\-]{1,20}){0,4}")
_SAYS = re.compile(
    r"(?:error|message|msg|reason|cause|description|desc|detail|details|type|title|status|fault|"
    r"faultstring|summary)\"?'?\s?(?:=>|[:=])\s?$",
    re.IGNORECASE,
)


_PRIVATE = 0xE000
_MOST_KEPT = 1_000
_KEPT = re.compile("§([\ue000-\ue3e7])")
# A logger's prefix of a message: the same failure read from a log and from an attribute is one group.
_WRITER = re.compile(
    r"^(?:(?:<time>|<id>|<n>|[\[\]()|,;.:\-]|(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE)\b:?|"
    r"RequestId:|(?!(?:msg|message|error|err|reason|cause|code|status|"
    r"exception)\b)[\w.\-]{1,40}=[^\s\"']{0,200}(?=\s))"
    r"\s{0,2}){1,12}(?=\S)"
)


def normalise(text: str) -> str:
    """The words of a failure without its values: ids, numbers, hosts, paths, times, secrets and quoted values removed.

    Stack frames go too. At most 300 characters. This is what may leave the process.
    """
    segments = read(text, {}).segments
    if len(segments) > 2:
        segments = [segments[0], max(segments, key=lambda segment: segment.bonus)]
    return _bare(" <- ".join(segment.text[:2_000] for segment in segments))[:CAP].rstrip()


def _bare(text: str) -> str:
    text = _replaced(_replaced(mask(_replaced(text, _WHOLE)), _ROWS), _VALUES)
    text = _QUOTED.sub(_unquoted, text)
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[2])
        return f"{found[1]}§{chr(_PRIVATE + len(kept) - 1)}" if len(kept) < _MOST_KEPT else found[0]

    text = _STATUS.sub(keep, _KEEP.sub(keep, text[:4_000].replace("§", " ")))
    text = _NUMBER.sub("<n>", text)
    text = _KEPT.sub(lambda found: kept[ord(found[1]) - _PRIVATE], text)
    return _WRITER.sub("", " ".join(text.split()))


def _replaced(text: str, patterns: Sequence[Replacement]) -> str:
    for may_match, pattern, replacement in patterns:
        if may_match(text):
            text = pattern.sub(replacement, text)
    return text


def _unquoted(found: re.Match[str]) -> str:
    stated = found[2]
    if _PLACES.fullmatch(stated) or _SPOKEN_STATUS.fullmatch(stated):
        return found[0]
    before = found.string[max(0, found.start() - 40) : found.start()]
    if _PERSON_BEFORE.search(before):
        return f"{found[1]}…{found[3]}"
    if _NAME.fullmatch(stated) and (
        _CODE_NAME.fullmatch(stated) or ("-" not in stated and _CODE_BEFORE.search(before))
    ):
        return found[0]
    if not before.endswith("KeyError: ") and _SAYS.search(found.string, max(0, found.start() - 24), found.start()):
        return found[0]
    return f"{found[1]}…{found[3]}"


def fingerprint(diagnosis: Diagnosis | Kind | str, error_text: str) -> str:
    """The group of a failure: 16 hexadecimal digits from its kind and its normalised text.

    Args:
        diagnosis: the diagnosis, or its kind alone.
        error_text: the failure's own text.
    """
    return group_of(diagnosis, normalise(error_text))


def group_of(diagnosis: Diagnosis | Kind | str, normalised: str) -> str:
    """The same, of a text that `normalise` returned."""
    kind = diagnosis.kind if isinstance(diagnosis, Diagnosis) else Kind(diagnosis)
    text = f"{kind}\n{normalised.lower()}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
