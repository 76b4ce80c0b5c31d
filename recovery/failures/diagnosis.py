"""Evidence in, diagnosis out: read the text, find every rule that matches, let the strongest decide. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from recovery.failures.codes import codes_in
from recovery.failures.index import Index, Looked, rank
from recovery.failures.masks import mask, mask_part
from recovery.failures.models import TRANSIENT_KINDS, Diagnosis, Evidence, Kind
from recovery.failures.payloads import unreadable
from recovery.failures.phrases import Phrase
from recovery.failures.reading import Reading, Segment, read
from recovery.failures.rules import Rule
from recovery.failures.rulesets import DEFAULT_RULES, RuleSet

QUOTE = 160  # characters of the longest quote


@dataclass(slots=True)
class Match:
    """A rule that matched.

    Attributes:
        rule: the rule.
        score: its strength and its place in the chain of causes: the highest decides, then the rules' order.
        text: the error that it matched in.
        start, end: its place in that error; 0, 0 for a field.
        by_phrase: true when words of a phrase matched, and no name or code.
    """

    rule: Rule
    score: int
    text: str
    start: int
    end: int
    by_phrase: bool = False

    @property
    def quote(self) -> str:
        return mask_part(self.text, self.start, self.end)[:QUOTE] if self.end else mask(self.text)[:QUOTE]


def diagnose(evidence: Evidence, rules: RuleSet = DEFAULT_RULES) -> Diagnosis:
    """Say why something failed, and from which words. Never raises, and gives the same answer to the same evidence."""
    reading = read(evidence.error, evidence.attributes)
    best: Match | None = None
    if rules.own_index is not None:
        # The user's first matching rule decides, whatever the defaults say: that is what the file is for.
        best = min(_matches(reading, rules.own_index, all_of_them=True), key=lambda m: m.rule.order, default=None)
    if best is None:
        best = max(_matches(reading, rules.index), key=_standing, default=None)
    if best is None:
        return _from_payload(evidence)
    best = _refusal(best, reading, rules.index) or _statement(best, reading, rules.index) or best
    rule = best.rule
    return Diagnosis(
        kind=rule.kind,
        transient=rule.transient,
        rule=rule.id,
        reason=rule.why,
        quote=best.quote,
        action=rule.action,
        kind_action=rule.kind_action,
    )


def explain(evidence: Evidence, rules: RuleSet = DEFAULT_RULES) -> list[Match]:
    """Every rule that matches, the deciding one first."""
    reading = read(evidence.error, evidence.attributes)
    found: list[Match] = []
    if rules.own_index is not None:
        found.extend(sorted(_matches(reading, rules.own_index, all_of_them=True), key=lambda m: m.rule.order))
    defaults = sorted(_matches(reading, rules.index, all_of_them=True), key=_standing, reverse=True)
    if defaults and not found:
        stronger = _refusal(defaults[0], reading, rules.index) or _statement(defaults[0], reading, rules.index)
        found.extend([stronger] if stronger else [])
    found.extend(defaults)
    strongest: dict[str, Match] = {}
    for match in found:
        strongest.setdefault(match.rule.id, match)
    return list(strongest.values())


def _standing(match: Match) -> tuple[int, int]:
    return match.score, -match.rule.order


def _matches(reading: Reading, index: Index, *, all_of_them: bool = False) -> Iterator[Match]:
    """The strongest match in each error of the chain, or all of them."""
    fields = reading.fields
    if fields:
        for code in _attribute_codes(fields):
            rule = index.codes.get(code)
            if rule is not None:
                yield Match(rule, rule.strength, code, 0, len(code))
        for rule in index.by_field:
            for name, values in rule.fields.items():
                if fields.get(name, "").lower() in values and _holds(rule, reading, None):
                    yield Match(rule, rule.strength, f"{name}: {fields[name]}", 0, 0)
                    break
    for segment in reading.segments:
        for match in _in_segment(segment, reading, index):
            yield match
            if not all_of_them:
                break


_APART = re.compile(r"[<>{}|;]|\. ")
"""Between words that do not speak of each other: tags, braces, the end of a sentence."""
_SOCKET = re.compile(
    r"refused|reset|time[d ]?-?out|unreachable|resolv|hung up|\beof\b|broken pipe|no such host|expired"
)
_REFUSALS = frozenset(("400", "401", "403", "404", "405", "409", "410", "422"))


def _refusal(best: Match, reading: Reading, index: Index) -> Match | None:
    """A refusal in the position of a status in the same error: it outranks words about the network.

    "Failed to fetch the token: 401 Unauthorized" is no broken connection: somebody answered.
    """
    if not best.by_phrase or best.rule.kind not in TRANSIENT_KINDS or best.rule.tier == "decisive":
        return None
    if _SOCKET.search(best.text[best.start : best.end].lower()):
        return None
    for segment in reading.segments:
        if segment.text is not best.text or _REFUSALS.isdisjoint(segment.words):
            continue
        for code, start, end in codes_in(segment.lower, segment.words, index.codes.keys()):
            rule = index.codes.get(code)
            if rule is not None and code[5:] in _REFUSALS and rule.kind not in TRANSIENT_KINDS:
                return Match(rule, best.score, segment.text, start, end)
    return None


_PRECISE = ("decisive", "specific")


def _statement(best: Match, reading: Reading, index: Index) -> Match | None:
    """A lasting cause that an error states, where the words of a passing one stand in a value or a path.

    "Duplicate entry 'Too Many Requests' for key 'title'" is about the entry, whatever it says.
    """
    if best.rule.kind not in TRANSIENT_KINDS or not best.end or not _in_value(best):
        return None
    lasting = (
        match
        for match in _matches(reading, index, all_of_them=True)
        if match.text is best.text
        and match.end
        and match.rule.kind not in TRANSIENT_KINDS
        and match.rule.tier in _PRECISE
        and not _in_value(match)
    )
    return max(lasting, key=_standing, default=None)


# A word directly before a quotation mark says whose words they are: an entry's, a topic's; or the error's own.
_OF_WHAT = re.compile(
    r"(?i)(?<!\berror)(?<!\bwith)(?<!\breason)(?<!\bcause)(?<!\bmessage)(?<!\bwas)(?<!\bsaid)(?<!\bsays)(?<!\bby)"
    r"(?<!\bexception)(?<!\breturned)(?<!\bstatus)(?<!\bcode)(?<!\bgot)(?<!\bfailed)(?<=[a-z]) $"
)


def _in_value(match: Match) -> bool:
    """True for words in quotation marks, or in a path."""
    text, start, end = match.text, match.start, match.end
    word = text.rfind(" ", 0, start) + 1
    if "/" in text[word:start] and "://" not in text[word:start]:
        return True
    if not _QUOTE_SIGN.search(text, max(0, start - _REACH), start):
        return False
    opening = next((n for n in range(start - 1, max(-1, start - _REACH), -1) if text[n] in _QUOTES), -1)
    if opening < 2 or not _OF_WHAT.search(text, max(0, opening - 20), opening):
        return False
    return any(text[n] in _QUOTES for n in range(end, min(len(text), end + _REACH)))


def _attribute_codes(fields: Mapping[str, str]) -> Iterator[str]:
    """Codes that AWS's own attributes hold; another sender's attribute of the same name says nothing."""
    code = fields.get("error_code")
    if code and ("rule_arn" in fields or "schedule_arn" in fields):
        yield f"eventbridge:{code.lower()}"
    code = fields.get("errorcode")
    if code and code.isdigit():
        yield f"lambda:{code}"


def _in_segment(segment: Segment, reading: Reading, index: Index) -> Iterator[Match]:
    """The matches in one error, the strongest first: what speaks less strongly is not even looked for before."""
    words, lower = segment.words, segment.lower
    # In stages, since most texts are decided before the slower ones: codes cost more than words, and general words and
    # the names of unknown classes are only asked when nothing precise was stated.
    looked = index.strong.suggested_by(words, lower)
    looked.sort(key=_by_rank)
    coded = 0
    while coded < len(looked) and looked[coded][0] < index.first_code:
        coded += 1
    yield from _tried(looked[:coded], segment, reading)
    looked = looked[coded:]
    weaker: list[Looked] = []
    for code, start, end in codes_in(lower, words, index.codes.keys()) if index.codes else ():
        rule = index.codes.get(code)
        if rule is not None:
            place = rank(rule)
            (looked if place < index.first_class else weaker).append((place, rule, (start, end), code))
    looked.sort(key=_by_rank)
    yield from _tried(looked, segment, reading)
    weaker.extend(index.weak.suggested_by(words, lower))
    weaker.extend(index.unknown_classes(words, lower))
    weaker.sort(key=_by_rank)
    yield from _tried(weaker, segment, reading)


def _tried(looked: list[Looked], segment: Segment, reading: Reading) -> Iterator[Match]:
    lower = segment.lower
    for _, rule, what, word in looked:
        if isinstance(what, Phrase) and what.pattern.search(lower) is None:
            continue
        for start, end in _places(segment, what, word):
            if rule.tier == "loose" and _APART.search(segment.text, start, end):
                continue
            if not _is_value(rule, lower, start, end) and _holds(rule, reading, segment):
                yield Match(rule, rule.strength + segment.bonus, segment.text, start, end, isinstance(what, Phrase))
                break


_by_rank = itemgetter(0, 3)
"""By rank, and by word among equals, so that every process quotes the same words."""


def _places(segment: Segment, what: str | Phrase | tuple[int, int], word: str) -> Iterable[tuple[int, int]]:
    """The places of a name, a phrase or a code in an error."""
    if isinstance(what, tuple):
        return (what,)
    if isinstance(what, Phrase):
        return what.places(segment.lower)
    if not what:
        start = segment.lower.find(word)
        return ((start, start + len(word)),)
    return _exact(segment.text, what)


def _exact(text: str, name: str) -> Iterator[tuple[int, int]]:
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if not (start and text[start - 1].isalnum()) and not (end < len(text) and text[end].isalnum()):
            yield start, end
        start = text.find(name, end)


_QUOTES = "\"'`«»“”‘’"
_QUOTE_SIGN = re.compile(f"[{_QUOTES}]")
_REACH = 60
"""Characters before and behind words in which quotation marks around them are looked for."""
_VALUE_BEFORE = re.compile(
    r"(?:value|field|key|property|parameter|param|phrase|option|word|words|term|text|column|attribute|argument|setting|"
    r"comment|title|subject|choice|string|note|enum|header|tag|label|named|called|contains|given|got|input|description|"
    r"body|identifier|variable|element|item|member)s?(?: (?:is|was|reads?|of|as|with))?\W{0,4}$|"
    r"(?:titled|entitled|headed|labell?ed|captioned) $|(?:name|method|function|module|symbol|constant|import) $|"
    # Somebody's own words: `the guest wrote that it 'timed out'`.
    r"\b(?:customer|buyer|guest|reader|reviewer|author|visitor|shopper)s? (?:has |had )?"
    r"(?:wrote|written|writes|said|says|complained|asked|typed|entered)\b[^.;{}\n]{0,40}$"
)
_VALUE_AFTER = re.compile(
    r"[\"'`»”’\])>]{1,3}(?:\s:?|:)\s?(?:is not|is required|must|does not match|cannot be|can't be|is invalid|"
    r"was not|not in\b|"
    r"isn't|is an? (?:invalid|unknown|required)|is too|is a required|should|has an? invalid|is missing|field|parameter|"
    r"property|key\b|option|column|has invalid)"
)
# `timeout: 0`, `connectTimeout=30`: a setting that is shown, not time that ran out.
_SETTING = re.compile(
    r"[\"']?\s?(?:=>|[=:])\s?[\"']?(?:\d{1,15}(?!\d{0,15} ?(?:exceeded|elapsed|expired))|null|none|"
    r"undefined|infinity|true|false)"
)


# `timeout_policy`, `timeout-aware`: a name of something else; `timeout_error` is one of what happened.
_NAMED_SO = re.compile(
    r"[_\-](?!err|exc|exp|fail|occ|reach|while|wait|after|abort|on_|of_|in_|for_|from_|to_|s_)[a-z]{3}"
)


def _is_value(rule: Rule, lower: str, start: int, end: int) -> bool:
    """True for words in quotation marks that are somebody's value: `'timeout' is not a valid choice`."""
    if rule.kind is Kind.VALIDATION_ERROR or rule.kind is Kind.BAD_PAYLOAD:
        return False
    if rule.kind is Kind.TIMEOUT and (_SETTING.match(lower, end) or _NAMED_SO.match(lower, end)):
        return True
    near = lower[max(0, start - _REACH) : start]
    if not _QUOTE_SIGN.search(near):
        return False
    opening = -1
    for place in range(start - 1, start - len(near) - 1, -1):
        if lower[place] in _QUOTES:
            if place == 0 or not lower[place - 1].isalnum():
                opening = place
                break
            if not lower[place + 1].isalnum():
                return False  # the value ended before
        if lower[place] in ":;{}":
            return False
    if opening < 0:
        return False
    # A phrase may go on behind the value: `'timeout' for` of `value 'timeout' for enum State`.
    closing = next((place for place in range(start, min(len(lower), end + _REACH)) if _closes(lower, place)), -1)
    if closing < 0:
        return False
    return bool(_VALUE_BEFORE.search(lower, max(0, opening - 70), opening) or _VALUE_AFTER.match(lower, closing))


def _closes(lower: str, place: int) -> bool:
    """True for a quotation mark that is no apostrophe within a word."""
    return lower[place] in _QUOTES and not (lower[place - 1].isalnum() and lower[place + 1 : place + 2].isalnum())


def _holds(rule: Rule, reading: Reading, segment: Segment | None) -> bool:
    """True when a rule's conditions hold: words that must stand somewhere, and words that may not in this error."""
    if rule.also and not _any_stands(rule.also, reading.context):
        return False
    return not (segment is not None and rule.unless and _any_stands(rule.unless, segment))


def _any_stands(phrases: Iterable[Phrase], segment: Segment) -> bool:
    words = segment.words
    for phrase in phrases:
        if phrase.needs <= words and phrase.may_match(words) and phrase.find(segment.lower) is not None:
            return True
    return False


def _from_payload(evidence: Evidence) -> Diagnosis:
    why = unreadable(evidence.body)
    if why:
        return Diagnosis(
            kind=Kind.BAD_PAYLOAD,
            transient=False,
            rule="body.unreadable",
            reason=f"The error does not show the cause, and the payload {why}.",
        )
    if evidence.is_empty:
        reason = "Nothing speaks of the failure: no error text, attribute or log was found."
    else:
        reason = "No rule knows these words; add one to a rule file once the cause is known."
    return Diagnosis(kind=Kind.UNKNOWN, transient=False, rule="none", reason=reason)
