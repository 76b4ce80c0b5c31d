"""Failures among records: trouble that was overcome is none, and the last one decides. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from recovery.failures.logs.payloads import without_payloads
from recovery.failures.logs.records import Level, Record
from recovery.failures.logs.traces import CLASS_LINE, begins_failure
from recovery.failures.signs import holds

_SPLIT = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))


class _Words:
    """An expression that is only tried where one of its words stands: looking for those costs a tenth.

    Args:
        words: words in lower case, of which whatever the expression matches holds one.
        pattern: the expression, for text in lower case.
    """

    def __init__(self, words: str, pattern: str) -> None:
        self.words = frozenset(words.split())
        self.pattern = re.compile(pattern)

    def search(self, text: str) -> re.Match[str] | None:
        """The first place of the text, in upper or lower case, that matches."""
        lower, words = _read(text)
        return None if self.words.isdisjoint(words) else self.pattern.search(lower)


@lru_cache(maxsize=8)  # several expressions in turn are looked for in one text
def _read(text: str) -> tuple[str, frozenset[str]]:
    """A text in lower case, and its words."""
    lower = text.lower()
    return lower, frozenset(lower.translate(_SPLIT).split())


# Trouble that its own record calls provisional: another try follows.
_RETRIES = _Words(
    "retry retrying retried retries re attempting reattempting connecting reconnecting refreshing renewing back "
    "backing backoff sleep sleeping sleeps waiting wait waited waits trying try next attempt rescheduling "
    "scheduling failover fail failing switching half opened breaker reopening resubscribing establishing "
    "reestablishing requeued requeuing queued queuing half_open will redelivery redelivering redelivered "
    "redeliver scheduling try",
    r"\b(?:redeliver\w{1,4}|scheduling|retry(?:ing|ied)?|retries left|will (?:be )?re-?tr(?:y|ied)|"
    r"re-?attempting|re-?connecting|"
    r"refreshing|renewing|"
    r"back(?:ing)?[ -]?off|sleep(?:ing|s)?|waiting|wait(?:ed|s)? \d|trying again|try again in|next (?:attempt|"
    r"retry|try)|"
    r"attempt #?\d{1,3}(?: ?(?:/|of) ?\d{1,3})? (?:failed|timed)|re-?scheduling|fail(?:ing)?[ -]?over|failing over|"
    r"switching to|half[_-]?open|breaker \w{0,30} ?(?:is )?(?:now )?open|opened circuit|reopening|resubscribing|"
    r"re-?establishing|requeu(?:ed|ing)|re-?queu(?:ed|ing)|attempt \d{1,3}\b)",
)
_FINAL = _Words(
    "giving given gives giveup gave exhausted no max maximum exceeded limit last final aborting aborted dead "
    "deadletter all after deleted unrecoverable permanently retried retrying retry",
    r"\b(?:giv(?:ing|en|e) up|gave up|retries exhausted|exhausted|no (?:more|further) (?:retries|attempts)|"
    r"max(?:imum)? (?:retries|attempts|number of)|retries exceeded|attempts exceeded|retry limit|last attempt|"
    r"final attempt|aborting|aborted|dead[ -]?letter|all \d{0,3} ?(?:retries|attempts)|"
    r"after \d{1,3} (?:attempts|retries|tries)|"
    r"not deleted|unrecoverable|permanently|will not be retried|not retrying|no retry)",
)
# Trouble that its own record calls harmless.
_HARMLESS = _Words(
    "ignored ignoring ignore skipped skipping dropped dropping continuing proceeding carrying using used fall "
    "falling fallen falls fallback fell non nonfatal noncritical harmless optional best suppressed swallowed "
    "tolerated as expected not deprecated deprecation recovered degraded serving from will rebuilding recreating "
    "handled keep keeps keeping",
    r"\b(?:ignor(?:ed|ing|e)|skipp(?:ed|ing)|dropp(?:ed|ing)|continuing|proceeding|carrying on|"
    r"us(?:ing|ed) (?:the )?(?:default|cached|stale|last known|previous|fallback|local|older|secondary|backup)|"
    r"fall(?:ing|en|s)?[ -]?back|fell back|fallback|non-?fatal|non-?critical|harmless|optional|best[ -]effort|"
    r"suppressed|swallowed|tolerated|as expected|expected error|not required|deprecated|deprecation|recovered|"
    r"degraded mode|"
    r"serving (?:stale|from cache)|keep(?:s|ing)? (?:the )?(?:old|previous|current|last|using)|from cache|"
    r"will be rebuilt|rebuilding|recreating|handled gracefully)\b",
)
_RESOLVED = _Words(
    "succeeded succeeds success successful successfully recovered recovery connected reconnected established "
    "reestablished restored resumed refreshed renewed rebuilt created recreated committed replaced repaired back "
    "up online available healthy reachable caught closed answered returned responded replied status got with ok "
    "worked went passed accepted continuing using used fallback served loaded acquired obtained new fetched "
    "completed finished done processed delivered 200 201 202 204",
    r"\b(?:succeed(?:ed|s)|success(?:ful(?:ly)?)?|recovered|recovery complete|re-?connected|reestablished|"
    r"re-established|"
    r"restored|resumed|refreshed|renewed|rebuilt|re-?created|committed|replaced|repaired|"
    r"(?:is |now |again )?(?:back|up again|online|available again|healthy|reachable|caught up)|"
    r"closed|(?:answered|returned|responded|replied|status[=: \"']{1,3}|->|got|"
    r"with) ?(?:with )?(?:http )?2\d\d|2\d\d ok|http 2\d\d|"
    r"ok (?:after|on|now|again)|worked (?:on|after)|went through|passed (?:on|after)|accepted (?:on|after)|"
    r"continuing without|continuing with|us(?:ing|ed) (?:the )?(?:fallback|cached|default|stale|secondary|"
    r"backup|replica)|"
    r"fallback (?:used|served|succeeded|ok)|served (?:from|stale|by)|loaded from cache|acquired (?:on|after)|"
    r"obtained|new token|fetched again|completed|finished|done|processed|delivered|ok)\b",
)
# A line that says only "it worked again" (and not that some other work was done) undoes trouble at error level too.
_AGAIN = _Words(
    "connected reconnected recovered established reestablished restored refreshed renewed succeeded success "
    "successful successfully worked passed accepted attempt try retry breaker closed back again fallback used "
    "using served serving answered loaded went ok done completed complete",
    r"\bre-?[a-z]{3,15} (?:has |was |is )?(?:succeeded|successful|ok|done|complete|completed|worked|accepted)\b|"
    r"\b(?:re-?connected|recovered|re-?established|restored|refreshed|renewed|"
    r"(?:succeeded|success(?:ful)?(?:ly)?|worked|ok|passed|accepted|done|completed|went through|"
    r"answered(?: with)? 2\d\d|"
    r"returned 2\d\d) (?:on|after|with|at|in) (?:the )?(?:retry|attempt|try|re-?try|second|third|refresh|back|\d)|"
    r"(?:retry|attempt|try)(?: ?#?\d{1,3}(?: ?(?:/|of) ?\d{1,3})?)? (?:succeeded|successful|worked|ok|passed|"
    r"was successful)|"
    r"breaker [\w.\-]{0,40} ?(?:is )?(?:now )?closed|closed (?:the )?circuit|back (?:up|online|to normal)|"
    r"available again|healthy again|up again|fallback (?:used|served|succeeded)|"
    r"(?:used|using|served|serving|answered|loaded) (?:the |from |from the |by )?(?:fallback|cache|cached|"
    r"secondary|replica|backup))\b",
)
_SUCCESS = re.compile(
    r"\b(?:processed|handled|completed|finished|deleted|acknowledged|acked|done|succeeded|successfully|success|ok)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|never|without|cannot|could|fail\w{0,4}|error|unable|wasn|isn|being|start\w{0,3}|begin\w{0,4}|"
    r"will|to be|"
    r"about to|exception|retry\w{0,3})\b",
    re.IGNORECASE,
)
_BESIDE = _Words(
    "health healthz healthcheck healthchecker ready readyz live livez livenessz liveness readiness startup ping "
    "metrics actuator heartbeat kube elb export flush send push publish emit ship report upload exporting "
    "flushing sending pushing publishing emitting shipping reporting uploading exported flushed sent pushed "
    "published emitted opentelemetry otel otlp xray x statsd datadog dd ddtrace new newrelic relic sentry "
    "telemetry feature tracing exporter exporters heartbeat heart zipkin jaeger prometheus graphite cloudwatch",
    r"\b(?:tracing|traces?|spans?|metrics?|telemetry|logs?) export(?:er|ers|ing)?\b|heart-?beat (?:missed|"
    r"failed|lost)|"
    r"\b(?:to|from|with) (?:zipkin|jaeger|prometheus|graphite|cloudwatch metrics)\b|"
    r"/(?:healthz?|ready|readyz|live|livez|livenessz?|readiness|ping|metrics|actuator|heartbeat)\b|kube-probe|"
    r"elb-healthchecker|health[ _-]?check|(?:liveness|readiness|startup) probe|"
    r"(?:export|flush|send|push|publish|emit|ship|report|upload)(?:ing|ed)? (?:of )?(?:\d{1,6} )?"
    r"(?:spans?|traces?|metrics?|telemetry|statsd|analytics|segments?)|opentelemetry|otel[ ._-]|otlp|x-?ray daemon|"
    r"statsd|datadog[ -]agent|dd-?trace|new ?relic|sentry|telemetry|feature[ -]flag",
)
_FAILURE_WORDS = _Words(
    "error exception fail failed failure fails fault time timed timeout refused denied rejected unable could cannot "
    "can invalid panic panicked fatal traceback unhandled uncaught crash crashed abort aborted unauthorized forbidden "
    "throttled throttling throttle unavailable missing not killed exceeded",
    r"\b(?:error|exception|fail(?:ed|ure|s)|fault|timed? ?out|refused|denied|rejected|unable to|could not|cannot|can't|"
    r"invalid|panic(?:ked)?|fatal|traceback|unhandled|uncaught|crash(?:ed)?|abort(?:ed)?|unauthorized|forbidden|"
    r"throttl(?:ed|ing|e)|unavailable|missing|not found|killed|exceeded)\b",
)
_NAMES = re.compile(r"[a-z](?:Error|Exception|Fault)\b|\bE[A-Z]{4,12}\b")
_WARNED = _Words(
    "fail fails failed failure giving gave could unable exhausted exception rejected refused time timed timeout "
    "exceeded aborted error not denied",
    r"\b(?:not (?:be )?(?:processed|handled|delivered|completed)|"
    r"fail(?:ed|ure|s)|giving up|gave up|could not|unable to|exhausted|exception|rejected|refused|timed? ?out|"
    r"exceeded|aborted|error|denied)\b",
)
_WARNED_NAME = re.compile(
    r"[a-z](?:Error|Exception|Fault|Timeout)\b|\w::[A-Z]\w{2,60}: |\b[45]\d\d [A-Z]|\bE[A-Z]{5,14}\b"
)
_GENERIC = frozenset(
    """
    error errors failed fail fails failure failing exception exceptions unexpected unhandled uncaught occurred
    happened raised caught thrown threw job jobs task tasks work worker message messages msg record records batch
    item items event events request process processing processed processor handle handler handled handling consume
    consumer consuming consumed listener receive received receiver lambda function invocation invoke invoking
    execute executing execution run running queue sqs to the a an of in on at while during with for from could not
    cannot can't couldn't unable was were is are be been has have will would it this that by and or giving give up
    gave after before attempts attempt tries try goes go going sent send sending moved moving dead letter letters
    dlq returned returning return back again retry retried retries retrying later visible visibility become becomes
    deleted delete leaving left something went wrong please see above below logs log details detail id ids number
    type info warn warning fatal critical no more exhausted max maximum aborting aborted aborts stopping stopped
    rolled rolling rollback transaction last final none null undefined true false runtime exited status code exit
    exiterror reason cause caused unknown internal application app main thread http trace stack end start finished
    completed ended ends done order orders payload input data object result callback uncaughtexception failures
    stage stages step steps times
    batchitemfailures itemidentifier partial response reporting reported ms s seconds
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[A-Za-z][A-Za-z']{1,40}")
_SOON = 3
"""Records between a warning and the end of the work that it ended, at most."""
_used_up = holds("attempted too many times", "MaxAttemptsExceeded", "ApproximateReceiveCount")
_DUMP = re.compile(r"\s{0,8}\{…\}\s{0,8}")
_LEAD = re.compile(r"(?:[\w.\-]{1,60}: |\([\w.]{1,60}:\d{1,6}\) - )")
_FRAME = re.compile(r"(?:\s{0,12}(?:at |File \"|\.{3} \d)|\S{1,200}\.rb:\d{1,6}:in )[^\n]{0,600}$")
_IDS = re.compile(r"\b(?:[\w\-]{0,60}\d[\w\-]{0,80}|[\w.+\-]{1,60}=\S{1,200})")


def fails(record: Record) -> bool:
    """True when a record by itself reports a failure."""
    level = record.level
    if level is Level.INFO or level is Level.DEBUG or not record.text:
        return False
    if record.platform:
        return level >= Level.ERROR and record.platform in ("fault", "report", "init")
    if level >= Level.ERROR:
        return not _is_beside(record)
    words = without_payloads(record.text)
    if level is Level.WARN:
        warned = _WARNED.search(words) is not None or _WARNED_NAME.search(words) is not None
        return warned and not _is_beside(record)
    return (begins_failure(record.text) or names_failure(words)) and not _is_beside(record)


def names_failure(text: str) -> bool:
    """True for words, or a name, of a failure."""
    return _FAILURE_WORDS.search(text) is not None or _NAMES.search(text) is not None


def repeats(record: Record) -> bool:
    """True for a report of the platform that only says that an invocation failed: its cause stands before it."""
    return record.platform == "report" and "timed out" not in record.text and "memory" not in record.text


def _is_beside(record: Record) -> bool:
    """Noise of health checks and of telemetry; a stack trace may name them in passing."""
    return _BESIDE.search(record.text.split("\n", 1)[0][:600]) is not None


def is_provisional(record: Record) -> bool:
    """True when a record reports trouble after which its writer went on trying."""
    head = without_payloads(record.text[:1_000])[:600]
    return _RETRIES.search(head) is not None and _FINAL.search(head) is None


_LOST = re.compile(r"\b(?:message|record|event|job|item|task|order) (?:was |is |has been )?(?:dropped|discarded)\b")
"""Words of work that was given up."""


def is_harmless(record: Record) -> bool:
    """True when a record says itself that its trouble does not matter."""
    first = record.text.split("\n", 1)[0][:600]
    if "panic" in first:  # a panic that was recovered ended its work all the same
        return False
    if record.level >= Level.ERROR and record.stack and _LOST.search(first):
        return False
    return _HARMLESS.search(first) is not None and _FINAL.search(first) is None and record.level <= Level.ERROR


def resolves(record: Record) -> bool:
    """True when a record says that something worked."""
    if record.level > Level.INFO and not _AGAIN.search(record.text[:400]):
        return False
    words = record.text[:400]
    return _RESOLVED.search(words) is not None and not names_failure(words.split("\n", 1)[0])


def is_success(record: Record, message: str) -> bool:
    """True when a record says of a message that it was done."""
    if record.level > Level.INFO or record.platform or fails(record):
        return False
    head = without_payloads(record.text)[:300].replace(message, " ")
    return _SUCCESS.search(head) is not None and _NOT.search(head) is None


def last_failure(records: Sequence[Record]) -> Record | None:
    """The failure that these records end in; None when they report none that was not overcome.

    Args:
        records: those of one piece of work, in order.
    """
    failing: list[Record] = []
    for record in records:
        if record.level is Level.INFO or record.level is Level.DEBUG:
            if failing and not record.platform:
                failing = _remaining(failing, record)
        elif fails(record):
            if not is_harmless(record):
                failing.append(record)
        elif failing and not record.platform:
            failing = _remaining(failing, record)
    for place in range(len(failing) - 1, -1, -1):
        record = failing[place]
        if says_something(record):
            if _carried_on(record, failing[place + 1 :], records):
                break
            return record
    return failing[-1] if failing and failing[-1].level is not Level.WARN else None


def _remaining(failing: list[Record], record: Record) -> list[Record]:
    """The failures that a later record does not undo."""
    head = record.text[:400]
    if not head:
        return failing
    if _UNDOES.isdisjoint(_read(head)[1]):
        return failing
    again = _AGAIN.search(head) is not None
    if not again and not resolves(record):
        return failing
    kept = [one for one in failing if not is_provisional(one) and not (one.level is Level.WARN and not _threw(one))]
    if (
        again
        and kept
        and kept[-1].level <= Level.ERROR
        and not _FINAL.search(kept[-1].text[:600])
        and not kept[-1].platform
    ):
        kept = [one for one in kept if one.stack and one.level >= Level.ERROR and not _kin(one, record)]
    return kept


_UNDOES = _AGAIN.words | _RESOLVED.words


def _threw(record: Record) -> bool:
    """True when a record shows an exception, and not only words about trouble."""
    return record.stack or CLASS_LINE.match(record.text) is not None


def _kin(one: Record, other: Record) -> bool:
    """True when a recovery is that of this failure: a word beyond the usual ones stands in both."""
    words = {word.lower() for word in _WORD.findall(one.text.split("\n", 1)[0][:300])} - _GENERIC
    return not words.isdisjoint({word.lower() for word in _WORD.findall(other.text[:300])})


def _carried_on(record: Record, after: Sequence[Record], records: Sequence[Record]) -> bool:
    """True when a warning without an exception was followed by other work: then it did not end this one."""
    if record.level is not Level.WARN or _threw(record) or _FINAL.search(record.text[:600]):
        return False
    until = after[0].order if after else records[-1].order + 1
    return sum(record.order < one.order < until and not fails(one) for one in records) > _SOON


def says_something(record: Record) -> bool:
    """True when a failure's text has more than the words that any failure has."""
    if record.platform:
        return True
    text = without_payloads(record.text[:4_000])
    if _DUMP.fullmatch(text) or _used_up(text):
        return False
    if (found := _LEAD.match(text)) and not names_failure(found[0]):
        text = text[found.end() :]
    return any(_is_specific(line) for line in text.split("\n"))


def _is_specific(line: str) -> bool:
    """True for a line, but for a stack frame, with a word or a code that not every failure has."""
    if _FRAME.match(line):
        return False
    words = _WORD.findall(_IDS.sub(" ", line))
    return any(word.lower() not in _GENERIC for word in words) or _CODE.search(line) is not None


_CODE = re.compile(r"\b[45]\d\d\b|\bE[A-Z]{5,14}\b")
