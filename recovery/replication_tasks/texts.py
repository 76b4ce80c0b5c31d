"""The table of failure texts (texts.yaml): read once, checked, and searched. Pure.

The table holds only what matters to a restart beyond the eight kinds: whether the position is gone, whether a rest
helps, whether a person must change something first. Everything else is asked of `recovery.failures.diagnose`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import yaml

from recovery.failures import Kind

LONGEST = 12_000
"""Characters of a failure text that are read."""


class Nature(StrEnum):
    """The meaning of a cause for a restart."""

    PASSING = "passing"  # a restart helps, now
    RESTING = "resting"  # a restart helps after a rest: something must come back first
    PRESSURE = "pressure"  # memory, disk or swap ran short: one restart after a rest, then a person
    UNSURE = "unsure"  # nothing shows: one restart after a rest, then a person
    POSITION_LOST = "position lost"  # change capture cannot go on from where it stopped, ever
    LASTING = "lasting"  # the same restart fails again until a person changes something


@dataclass(frozen=True, slots=True)
class Text:
    """One entry of the table; texts.yaml says what each field means."""

    id: str
    engine: str
    nature: Nature
    kind: Kind
    source: str
    reason: str
    step: str
    phrases: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    examples: tuple[str, ...]
    counter: tuple[str, ...]
    weak: bool

    def find(self, text: str) -> re.Match[str] | None:
        """The first place where `text` shows one of its phrases as what happened."""
        for pattern in self.patterns:
            for found in pattern.finditer(text):
                if self.nature is not Nature.POSITION_LOST or _is_reported(text, found):
                    return found
        return None


@cache
def table() -> tuple[Text, ...]:
    """Every entry, in the order in which they are tried.

    Raises:
        ValueError: an entry is not complete; the message names it.
    """
    raw = resources.files("recovery.replication_tasks").joinpath("texts.yaml").read_text(encoding="utf-8")
    return tuple(_entry(one) for one in yaml.safe_load(raw))


def _entry(raw: dict[str, Any]) -> Text:
    try:
        phrases = tuple(line.strip() for line in raw["phrases"].splitlines() if line.strip())
        return Text(
            id=raw["id"],
            engine=raw["engine"],
            nature=Nature(raw["nature"]),
            kind=Kind(raw["kind"]),
            source=raw["source"],
            reason=raw["reason"],
            step=raw["step"],
            phrases=phrases,
            patterns=tuple(compiled(phrase) for phrase in phrases),
            examples=tuple(raw["examples"]),
            counter=tuple(raw.get("counter", ())),
            weak=bool(raw.get("weak", False)),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"texts.yaml, {raw.get('id', 'an entry without id')}: {error}") from error


# -- phrases -----------------------------------------------------------------------------------------------------

_PIECE = re.compile(r"\[[^\[\]]*\]|\S+")
# No sentence ends between two words of a phrase: a line may.
_JOIN = r"[^\w.;!?]{1,4}?"
_NAME = (
    r"(?:\"[^\"\n]{1,130}\"|'[^'\n]{1,130}'|`[^`\n]{1,130}`|\([^()\n]{1,130}\)"
    # A name that is not quoted is distinguished from a word by a digit or a sign in it.
    r"|(?=[^\s\"'`;,]{0,130}[\d_./:#-])[^\s\"'`;,]{0,130}[^\s\"'`;,.:])"
)


def compiled(phrase: str) -> re.Pattern[str]:
    """The expression of a phrase; its words stand whole."""
    out, join = "", ""
    for piece in _PIECE.findall(phrase):
        if piece == "*":
            join = r"[^\w](?:[^.;!?\n]{0,60}?[^\w])?"
            continue
        body, optional = _piece(piece)
        if optional and out:
            out += f"(?:{join}{body})?"
        elif optional:
            out, join = f"(?:{body}{_JOIN})?", ""
            continue
        else:
            out += join + body
        join = _JOIN
    return re.compile(rf"(?<![\w-]){out}(?![\w-])", re.IGNORECASE)


def _piece(piece: str) -> tuple[str, bool]:
    if piece.startswith("["):
        options = [option.strip() for option in piece[1:-1].split("|")]
        # The longest first: "redo logs" before "redo".
        chosen = sorted((option for option in options if option), key=len, reverse=True)
        return "(?:" + "|".join(_JOIN.join(map(_word, option.split())) for option in chosen) + ")", "" in options
    return _word(piece), False


def _word(word: str) -> str:
    if word == "#":
        return r"\d{1,20}"
    if word == "<>":
        return _NAME
    if re.fullmatch(r"[\w.$'-]+", word):
        return re.escape(word)
    parts = re.findall(r"\w+", word)
    return _JOIN.join(map(re.escape, parts)) if parts else r"[^\w.;!?]?" + re.escape(word)


# -- a finding, not a word ---------------------------------------------------------------------------------------

# A statement, a row or a value that the text quotes is the customer's data, whatever words it holds.
_DATA = re.compile(
    r"\b(?:statements?|query|queries|sql|values?|rows?|records?|columns?|keys?|comments?|notes?|input|literal|string"
    r"|document|payload|body)\b[\s:=(]{0,3}(?P<quote>['\"`]).{0,4000}?(?<!\\)(?P=quote)(?=[\s.,;:)\]]|$)",
    re.IGNORECASE | re.DOTALL,
)
# A whole text in quotes is a finding where it is the message of an error; else it is a value: of a statement, of a
# key, of a document.
_OPENED = re.compile(r"(?:^|(?<=[\s(=:,\[{]))(?P<quote>['\"`])")
_CLOSED = r"(?=[\s.,;:)\]}]|$)"
_MESSAGE = re.compile(
    r"(?:\b(?:errors?|err|errno|exception|message|msg|text|reason|cause|details?|hint|failed|failure|returned|said"
    r"|binary log|binlog|master|source|\d{3,5})|[\])]|\b(?:errmsg|codename|error)['\"])[\s:=]{0,3}$",
    re.IGNORECASE,
)
_KEY = re.compile(r"\bkey\s?\([^()\n]{1,200}\)=\($", re.IGNORECASE)
# The words before, in the same clause: a condition, an advice, a doubt or a denial is no finding.
_DOUBT = re.compile(
    r"(?:\b(?:if|unless|whether|in case|ensure|make sure|check|verify|avoid|prevent)\b[^.;:!?\n]{0,120}"
    r"|\b(?:when|whenever|might|could be|possibly|before|until|for example|such as)\b[^.;:!?\n(,'\"]{0,70}"
    r"|\b(?:no|not|never|nor|neither|without)\W{1,3})$",
    re.IGNORECASE,
)
# The words behind: DMS or the engine goes on after it.
_OVERCOME = re.compile(
    r"^.{0,120}?\b(?:retrying|will retry|will be retried|trying again|reconnect(?:ing|ed)|re-?creat(?:ing|ed)|creating"
    r"|recovered|resolved|restored|succeeded)\b",
    re.IGNORECASE,
)


def without_data(text: str) -> str:
    """The text without the data that it quotes."""
    return _DATA.sub(lambda found: found.group(0).split(found.group("quote"), 1)[0] + "...", text[:LONGEST])


def _is_value(text: str, found: re.Match[str]) -> bool:
    """True when the words lie within a quoted text that is no error's message."""
    opened = None
    for quote in _OPENED.finditer(text, 0, found.start()):
        if opened is not None and quote.start() < opened:
            continue  # within the text before, which ended ahead of the words
        closed = re.compile(re.escape(quote["quote"]) + _CLOSED).search(text, quote.end())
        if closed is None:
            continue
        if closed.start() >= found.end():
            return _MESSAGE.search(text[max(0, quote.start() - 40) : quote.start()]) is None
        opened = closed.end()
    behind = text.rfind("=(", 0, found.start())
    return behind >= 0 and ")" not in text[behind : found.start()] and _KEY.search(text[: behind + 2]) is not None


def _is_reported(text: str, found: re.Match[str]) -> bool:
    if _is_value(text, found):
        return False
    before = text[max(0, found.start() - 140) : found.start()]
    behind = text[found.end() : found.end() + 160].split("Stop Reason", 1)[0]
    return not _DOUBT.search(before) and not _OVERCOME.match(behind)
