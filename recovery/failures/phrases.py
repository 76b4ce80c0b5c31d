"""The small language in which rules write what they look for, so that no pattern can run away.

A phrase is words with single blanks between them. Letter case does not count, and where the phrase has a blank the
text may have one to three characters that are not letters or digits (`rate limit` finds `rate_limit`, `Rate-Limit`).

    word        this word, whole
    word~       a word that begins so: `expir~` finds `expired` and `expires`
    ~word       a word that ends so
    #           a number
    *           up to 60 characters of anything, or nothing
    [a|b c|d]   one of these words or word groups; with an empty choice ([a|b|]) they may be missing

The only repetition is bounded, so a phrase costs at most 60 steps for each `*` at a place where its first word stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import cached_property

GAP = 60
"""Characters that a `*` may pass over, at most."""

_MAX_GAPS = 2
_MAX_LENGTH = 600
_NEAR = ".{0,20}?"
"""The gap of a phrase in a script without blanks: a clause there is as long as three or four words."""
_JOIN = r"[\W_]{1,3}"
_UNIT = r"[\W_]{0,3}"
_WORDS = re.compile(r"[^\W_]+")
_PIECES = re.compile(r"\[[^\[\]]{0,600}\]|[^\s\[\]]{1,600}")
# Scripts that put no blanks between words: the word index cannot see inside them.
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class PhraseError(ValueError):
    """A phrase that cannot be read; the message says what is wrong."""


class Phrase:
    """One phrase, compiled when it is first tried.

    Attributes:
        source: the phrase as it was written.
        needs: words of which every one must stand in a text that this phrase matches.
        choices: sets of words; of each set at least one must stand there.
        literal: text that must occur, for scripts without blanks between words, else "".
        stem: text that must occur when there is no key, else "".
    """

    def __init__(self, source: str) -> None:
        pieces = _PIECES.findall(source.strip().lower())
        if not pieces:
            raise PhraseError("is empty")
        if len(source) > _MAX_LENGTH:
            raise PhraseError(f"is longer than {_MAX_LENGTH} characters")
        if pieces.count("*") > _MAX_GAPS:
            raise PhraseError(f"has more than {_MAX_GAPS} gaps (*)")
        if pieces[0] == "*" or pieces[-1] == "*" or "* *" in source:
            raise PhraseError("a gap (*) stands between two words")
        self.source = source
        self._pieces = pieces
        self._expression = _expression(pieces)
        parts = source.strip().lower().split(" * ") if UNSPACED.search(source) else []
        self.literal = max(parts, key=len) if parts else ""
        needs: list[str] = []
        choices: list[frozenset[str]] = []
        after_number = False
        for piece in pieces:
            # `30ms` is one word of the text: what follows a number is no key.
            keyed, after_number = not after_number, piece == "#"
            if piece.startswith("["):
                options = [option.strip() for option in piece[1:-1].split("|")]
                if not all(options):
                    if options == [""]:
                        raise PhraseError("has an empty choice")
                    continue
                if keyed and not any("~" in option or "#" in option for option in options):
                    choices.append(frozenset(_WORDS.findall(option)[0] for option in options if _WORDS.search(option)))
            elif keyed and "~" not in piece and "#" not in piece and piece != "*":
                needs.extend(_WORDS.findall(piece))
        if not needs and not choices and not self.literal and not any("~" in piece for piece in pieces):
            raise PhraseError("needs at least one word")
        # Without a whole word to look up: the beginning or end of one, which must at least occur.
        self.stem = "" if self.literal or needs or choices else next(p.strip("~") for p in pieces if "~" in p)
        self.needs = frozenset() if self.literal else frozenset(needs)
        self.choices = () if self.literal else tuple(choices)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression for lower-case text; its start is checked by `find` (a literal start is faster)."""
        if self.literal:
            return re.compile(_NEAR.join(re.escape(part) for part in self.source.strip().lower().split(" * ")))
        return re.compile(self._expression)

    def may_match(self, words: Set[str]) -> bool:
        """True when a text with these words may match; quick, and right for nearly all that cannot."""
        if not self.needs <= words:
            return False
        return all(not choice.isdisjoint(words) for choice in self.choices)

    def find(self, text: str) -> tuple[int, int] | None:
        """Start and end of the first place in `text` (lower case, single blanks) that matches, at a word's start."""
        for place in self.places(text):
            return place
        return None

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Every place in `text` that matches, in order; at most 20."""
        position = 0
        for _ in range(20):
            found = self.pattern.search(text, position)
            if found is None:
                return
            start = found.start()
            if self.literal or start == 0 or not text[start - 1].isalnum() or self._pieces[0][0] == "~":
                yield start, found.end()
            position = start + 1

    def __repr__(self) -> str:
        return f"Phrase({self.source!r})"


def _expression(pieces: list[str]) -> str:
    out: list[str] = []
    join = ""
    for place, piece in enumerate(pieces):
        if piece == "*":
            # Lazy, so that the nearest following word is found and the quote stays short.
            join = rf"[\W_](?:.{{0,{GAP}}}?[\W_])??"
            continue
        body, optional = _piece(piece)
        if not optional:
            out.append(join + body)
        elif place:
            out.append(f"(?:{join}{body})?")
        else:
            out.append(f"(?:{body}{_JOIN})?")
            continue
        join = _UNIT if piece == "#" else _JOIN
    return "".join(out) + r"(?![^\W_])"


def _piece(piece: str) -> tuple[str, bool]:
    """The expression for one piece, and whether it may be missing."""
    if piece.startswith("["):
        options = [option.strip() for option in piece[1:-1].split("|")]
        return "(?:" + "|".join(_group(option) for option in options if option) + ")", "" in options
    return _word(piece), False


def _group(option: str) -> str:
    return _JOIN.join(_word(word) for word in option.split())


def _word(word: str) -> str:
    if word == "#":
        return r"\d{1,20}"
    stem = word.strip("~")
    if "~" in stem:
        raise PhraseError(f"has a ~ inside {word!r}")
    body = _JOIN.join(re.escape(part) for part in _WORDS.findall(stem))
    if not body:
        raise PhraseError(f"has no word in {word!r}")
    return (r"[^\W_]{0,40}" if word.startswith("~") else "") + body + (r"[^\W_]{0,40}" if word.endswith("~") else "")
