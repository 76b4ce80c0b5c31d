"""Signs without which a pattern cannot match: looking for one costs a hundredth of the pattern. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

Sign = Callable[[str], bool]
"""True when a pattern may match in a text; False is certain."""

_DIGIT = re.compile(r"\d")


def holds(*parts: str) -> Sign:
    """One of these stands in the text, as it is written."""

    def sign(text: str) -> bool:
        for part in parts:  # noqa: SIM110 - a generator would cost more than all that it looks for
            if part in text:
                return True
        return False

    return sign


def holds_word(*words: str) -> Sign:
    """One of these (lower case) stands in the text, in upper or lower case."""
    small = holds(*words)

    def sign(text: str) -> bool:
        # Some characters outside ASCII agree with one inside it but for their size.
        return small(text.lower()) if text.isascii() else True

    return sign


def has_digit(text: str) -> bool:
    """A digit of any script stands in the text."""
    return _DIGIT.search(text) is not None


def both(one: Sign, other: Sign) -> Sign:
    """Both stand in the text."""
    return lambda text: one(text) and other(text)
