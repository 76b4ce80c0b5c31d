"""The small language of rules."""

from __future__ import annotations

import pytest

from recovery.failures.phrases import Phrase, PhraseError

FINDS = [
    ("rate limit", "Rate-Limit hit", True),
    ("rate limit", "rate_limit_exceeded", True),
    ("rate limit", "RATE  limit", True),
    ("rate limit", "ratelimit", False),
    ("rate limit", "prorate limit", False),
    ("rate limit", "rate limits", False),
    ("rate limit~", "rate limits", True),
    ("expir~ token", "expired token", True),
    ("~timeout", "socketTimeout", True),
    ("timed out after # ms", "timed out after 5000ms", True),
    ("timed out after # ms", "timed out after 5 000 ms", False),
    ("[a|one] token", "one token", True),
    ("[a|one] token", "no token", False),
    ("[connection is|socket] closed", "the connection is closed", True),
    ("expired [access|refresh|] token", "expired token", True),
    ("expired [access|refresh|] token", "expired refresh token", True),
    ("expired [access|refresh|] token", "expired bearer token", False),
    ("[an|] error occurred", "error occurred", True),
    ("table * exist", "table orders does not exist", True),
    ("table * exist", "table exist", True),
    ("table * exist", "table " + "x " * 40 + "exist", False),
    ("wert zu groß", "FEHLER: Wert zu groß", True),
    ("连接超时", "错误:连接超时,请重试", True),
]


@pytest.mark.parametrize(("phrase", "text", "found"), FINDS)
def test_a_phrase_finds_what_its_words_say(phrase: str, text: str, found: bool) -> None:
    """Whole words, any case, one to three signs between them."""
    lower = " ".join(text.split()).lower()
    assert (Phrase(phrase).find(lower) is not None) is found


@pytest.mark.parametrize(("phrase", "text", "found"), FINDS)
def test_the_key_of_a_phrase_never_hides_a_match(phrase: str, text: str, found: bool) -> None:
    """The word index lets every match through, and some more."""
    lower = " ".join(text.split()).lower()
    words = frozenset("".join(sign if sign.isalnum() else " " for sign in lower).split())
    parsed = Phrase(phrase)
    if found and not parsed.literal:
        assert parsed.may_match(words)


@pytest.mark.parametrize(
    "wrong", ["", "*", "a *", "* a", "a * * b", "a * b * c * d", "[]", "[a|]", "#", "a~b", "x" * 700]
)
def test_a_phrase_that_cannot_be_read_is_refused(wrong: str) -> None:
    """Before it is ever tried."""
    with pytest.raises(PhraseError):
        Phrase(wrong)


def test_a_gap_in_a_script_without_blanks_is_passed_over() -> None:
    """A noun may stand between subject and verb there as well, but not a whole sentence."""
    phrase = Phrase("接続 * 切断")
    assert phrase.find("接続は相手により切断されました") is not None
    assert phrase.find("接続しました。" + "あ" * 30 + "切断") is None
