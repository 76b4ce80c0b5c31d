"""Evidence in, diagnosis out: read the text, find every rule that matches, let the strongest decide. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recovery.failures.codes import codes_in
from recovery.failures.masks import mask
from recovery.failures.models import TRANSIENT_KINDS, Diagnosis, Evidence, Kind
from recovery.failures.payloads import unreadable
from recovery.failures.reading import Reading, Segment, read
from recovery.failures.rules import CLASS_ENDS, DEFAULT_RULES, Index, Rule, RuleSet

QUOTE = 160
"""Characters of the longest quote."""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matched.

    Attributes:
        rule: the rule.
        score: its strength and the place of the error in the chain of causes: the highest decides, then the rules' order.
        text: the error that it matched in.
        start, end: where in that error; 0, 0 for a field.
    """

    rule: Rule
    score: int
    text: str
    start: int
    end: int

    @property
    def quote(self) -> str:
        return mask(self.text[self.start : self.end] or self.text)[:QUOTE]


def diagnose(evidence: Evidence, rules: RuleSet = DEFAULT_RULES) -> Diagnosis:
    """Say why something failed, and from which words. Never raises, and gives the same answer to the same evidence."""
    reading = read(evidence.error, evidence.attributes)
    best: Match | None = None
    if rules.own_index is not None:
        # The user's first matching rule decides, whatever the defaults say: that is what the file is for.
        best = min(_matches(reading, rules.own_index), key=lambda match: match.rule.order, default=None)
    if best is None:
        best = max(_matches(reading, rules.index), key=_rank, default=None)
    if best is None:
        return _from_payload(evidence)
    rule = best.rule
    return Diagnosis(
        kind=rule.kind,
        transient=rule.kind in TRANSIENT_KINDS,
        rule=rule.id,
        reason=rule.why,
        quote=best.quote,
        action=rule.action,
    )


def explain(evidence: Evidence, rules: RuleSet = DEFAULT_RULES) -> list[Match]:
    """Every rule that matches, the deciding one first."""
    reading = read(evidence.error, evidence.attributes)
    own = sorted(_matches(reading, rules.own_index), key=lambda match: match.rule.order) if rules.own_index else []
    defaults = sorted(_matches(reading, rules.index), key=_rank, reverse=True)
    seen: set[str] = set()
    return [match for match in [*own, *defaults] if not (match.rule.id in seen or seen.add(match.rule.id))]  # type: ignore[func-returns-value]


def _rank(match: Match) -> tuple[int, int]:
    return match.score, -match.rule.order


def _matches(reading: Reading, index: Index) -> Iterator[Match]:
    fields = reading.fields
    for code in _attribute_codes(fields):
        rule = index.codes.get(code)
        if rule is not None:
            yield Match(rule, rule.strength, code, 0, len(code))
    for rule in index.by_field:
        if any(
            fields.get(name, "").lower() in values for name, values in rule.fields.items() if name in fields
        ) and _holds(rule, reading, ""):
            name = next(n for n, values in rule.fields.items() if fields.get(n, "").lower() in values)
            yield Match(rule, rule.strength, f"{name}: {fields[name]}", 0, 0)
    for segment in reading.segments:
        yield from _in_segment(segment, reading, index)


def _place(segment: Segment, word: str, exact: str) -> tuple[int, int] | None:
    """Where a name stands in an error, in its exact spelling if that is asked for."""
    if not exact:
        start = segment.lower.find(word)
        return start, start + len(word)
    text = segment.text
    start = text.find(exact)
    while start >= 0:
        end = start + len(exact)
        if not (start and text[start - 1].isalnum()) and not (end < len(text) and text[end].isalnum()):
            return start, end
        start = text.find(exact, end)
    return None


def _attribute_codes(fields: Mapping[str, str]) -> Iterator[str]:
    """Codes that AWS's own attributes hold; another sender's attribute of the same name says nothing."""
    code = fields.get("error_code")
    if code and ("rule_arn" in fields or "schedule_arn" in fields):
        yield f"eventbridge:{code.lower()}"
    code = fields.get("errorcode")
    if code and code.isdigit():
        yield f"lambda:{code}"


def _in_segment(segment: Segment, reading: Reading, index: Index) -> Iterator[Match]:
    words, lower, bonus = segment.words, segment.lower, segment.bonus
    for word in words & index.words:
        for exact, rule in index.names.get(word, ()):
            span = _place(segment, word, exact)
            if span is not None and not _is_value(rule, lower, *span) and _holds(rule, reading, lower):
                yield Match(rule, rule.strength + bonus, segment.text, *span)
                break
        for phrase, rule in index.phrases.get(word, ()):
            if phrase.needs <= words:
                for start, end in phrase.places(lower):
                    if not _is_value(rule, lower, start, end) and _holds(rule, reading, lower):
                        yield Match(rule, rule.strength + bonus, segment.text, start, end)
                        break
    for phrase, rule in index.unkeyed:
        span = phrase.find(lower)
        if span is not None and not _is_value(rule, lower, *span) and _holds(rule, reading, lower):
            yield Match(rule, rule.strength + bonus, segment.text, *span)
    if index.unspaced and not lower.isascii():
        for phrase, rule in index.unspaced:
            start = lower.find(phrase.literal)
            if start >= 0 and _holds(rule, reading, lower):
                yield Match(rule, rule.strength + bonus, segment.text, start, start + len(phrase.literal))
    if index.codes:
        for code, start, end in codes_in(lower, words):
            rule = index.codes.get(code)
            if rule is not None and not _is_value(rule, lower, start, end) and _holds(rule, reading, lower):
                yield Match(rule, rule.strength + bonus, segment.text, start, end)
    if index.class_words:
        for word in words:
            if word.endswith(CLASS_ENDS) and len(word) > 9:
                for part, rule in index.class_words:
                    if part in word and _holds(rule, reading, lower):
                        start = lower.find(word)
                        yield Match(rule, rule.strength + bonus, segment.text, start, start + len(word))
                        break


_OPENING = "\"'`«“‘[<("
_QUOTES = "\"'`«»“”‘’"
_VALUE_BEFORE = re.compile(
    r"(?:value|field|key|property|parameter|param|phrase|option|word|words|term|text|column|attribute|argument|setting|comment|title|subject|"
    r"choice|string|note|enum|header|tag|label|named|called|contains|given|got|input|description|body|identifier|variable|element|item|member)"
    r"s?\W{0,4}$"
)
_VALUE_AFTER = re.compile(
    r"[\"'`»”’\])>]{1,3}\s?:?\s?(?:is not|is required|must|does not match|cannot be|can't be|is invalid|was not|not in\b|isn't|is an? (?:invalid|unknown|required)|"
    r"is too|is a required|should|has an? invalid|is missing|field|parameter|property|key\b|option|column|has invalid)"
)


# `timeout: 0`, `connectTimeout=30`: a setting that is shown, not time that ran out.
_SETTING = re.compile(r"[\"']?\s?(?:=>|[=:])\s?[\"']?(?:\d+(?!\d* ?(?:exceeded|elapsed|expired))|null|none|undefined|infinity|true|false)")


def _is_value(rule: Rule, lower: str, start: int, end: int) -> bool:
    """Whether the words stand in quotation marks as somebody's value (`'timeout' is not a valid choice`), not as the error."""
    if rule.kind is Kind.VALIDATION_ERROR or rule.kind is Kind.BAD_PAYLOAD:
        return False
    if rule.kind is Kind.TIMEOUT and _SETTING.match(lower, end):
        return True
    opening = -1
    for place in range(start - 1, max(-1, start - 60), -1):
        if lower[place] in _QUOTES and (place == 0 or not lower[place - 1].isalnum()):
            opening = place
            break
        if lower[place] in ":;{}":
            return False
    if opening < 0:
        return False
    closing = next((place for place in range(end, min(len(lower), end + 60)) if lower[place] in _QUOTES), -1)
    if closing < 0:
        return False
    return bool(_VALUE_BEFORE.search(lower, max(0, opening - 30), opening) or _VALUE_AFTER.match(lower, closing))


def _holds(rule: Rule, reading: Reading, lower: str) -> bool:
    if rule.also and not any(phrase.find(reading.context) for phrase in rule.also):
        return False
    return not any(phrase.find(lower) for phrase in rule.unless)


def _from_payload(evidence: Evidence) -> Diagnosis:
    why = unreadable(evidence.body)
    if why:
        return Diagnosis(
            kind=Kind.BAD_PAYLOAD,
            transient=False,
            rule="body.unreadable",
            reason=f"The error does not tell, and the payload {why}.",
        )
    if evidence.is_empty:
        reason = "Nothing speaks of the failure: no error text, attribute or log was found."
    else:
        reason = "No rule knows these words; add one to a rule file once the cause is known."
    return Diagnosis(kind=Kind.UNKNOWN, transient=False, rule="none", reason=reason)
