"""Hide secrets and persons in a text before anybody sees an excerpt of it."""

from __future__ import annotations

import re

from recovery.failures.signs import Sign, both, has_digit, holds, holds_word

_MASKED = "***"
# Parts of the names under which secrets are assigned; each of them stands in whatever the pattern below matches.
_SECRETS = ("pass", "pw", "secret", "token", "key", "credential", "authorization", "signature", "session", "cookie")
_SCHEMES = ("basic", "digest", "negotiate", "token", "key", "password")
_TOKENS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk_live_", "sk_test_", "rk_live_"),
    *("pk_live_", "sk-", "SG.", "npm_", "pypi-", "AIza", "ya29.", "whsec_", "tok_"),
)
_may_assign = both(holds("=", ":"), holds_word(*_SECRETS))


# The name of a secret up to what is assigned to it, as in `"Api-Key": "`.
_NAMED = (
    r"(?:password|passwd|passphrase|pwd|(?<![a-z])pw(?![a-z])|(?<![a-z])pass(?![a-z])|secret|token|"
    r"api[_\-]?key|apikey|(?:access|account|shared)[_\-]?key|"
    r"private[_\-]?key|client[_\-]?secret|credential|authorization|signature|sessionid|"
    r"session[_\-]id|cookie)"
    r"[\w\-]{0,20}[\"']?\s{0,3}(?:=>|[=:])\s{0,3}[\"']?"
)


def _assigned(schemes: str) -> re.Pattern[str]:
    """A value assigned to the name of a secret, unless it begins with one of these words and a blank.

    The value may be another such name with its own value (`token:"password": "..."`): all of it goes.
    """
    value = r"[^\s\"',;&)}\]]{3,1000}"
    return re.compile(rf"(?i)({_NAMED})(?!\*\*\*)(?!(?:{schemes})\s)(?:{_NAMED}){{0,3}}{value}")


_RULES: tuple[tuple[Sign, re.Pattern[str], str], ...] = (
    (
        holds("-----BEGIN "),
        re.compile(r"-----BEGIN [A-Z ]{0,30}-----[^-]{0,8000}(?:-----END [A-Z ]{0,30}-----)?"),
        _MASKED,
    ),
    (
        lambda text: "://" in text and "@" in text,
        re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.\-]{1,20}://)[^\s/@:'\"]{0,200}:[^\s/@'\"]{1,300}@"),
        r"\1***@",
    ),
    # Oracle's `user/password@service`.
    (
        lambda text: "/" in text and "@" in text,
        re.compile(r"(?<![\w/@.])[\w$#.\-]{1,60}/[^\s/@:'\"]{1,100}@(?=[\w(/\[])"),
        r"***@",
    ),
    (
        holds_word("password", "passphrase", "passwd", "pw", "pin"),
        re.compile(
            r"(?i)\b(password|passphrase|passwd|pw|pin)( (?:is|was) )(?!\*\*\*)(?!(?:in)?correct|wrong|"
            r"in?valid|expired|"
            r"required|missing|not\b|too\b|empty|null|blank|weak|already|a\b|an\b|the\b|un|set\b|used\b|"
            r"being\b|locked|"
            r"needed|rejected|refused)[^\s\"',;&)}\]]{3,200}"
        ),
        r"\1\2***",
    ),
    (
        both(has_digit, holds_word("password", "passphrase", "passwd", "pw", "secret")),
        re.compile(
            r"(?i)\b(password|passphrase|passwd|pw|"
            r"secret)(\s{1,3})(?=[^\s\d]{0,60}\d)(?=[\d]{0,60}[a-z])[a-z\d!#$%&*+\-.?_~]{5,200}"
        ),
        r"\1\2***",
    ),
    (holds("eyJ"), re.compile(r"\beyJ[\w\-]{6,4000}(?:\.[\w\-]{0,4000}){0,4}"), _MASKED),
    (
        holds("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA"),
        re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,24}\b"),
        _MASKED,
    ),
    (
        holds(*_TOKENS),
        re.compile(
            r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|sk_test_|rk_live_|pk_live_|sk-|SG\.|npm_|pypi-|"
            r"AIza|ya29\.|whsec_|tok_)[\w\-.]{8,300}"
        ),
        _MASKED,
    ),
    (
        _may_assign,
        re.compile(
            r"(?i)(authorization[\"']?\s{0,3}[=:]\s{0,3}[\"']?(?:bearer|basic|digest|negotiate)\s{1,3})"
            r"(?!\*\*\*)[^\s\"',;]{3,2000}"
        ),
        r"\1***",
    ),
    # Before the word of a scheme takes the name of what is assigned for its credential ("bearer password=...").
    (_may_assign, _assigned("bearer|basic|digest|negotiate|token|key|password"), r"\1***"),
    (holds_word("bearer"), re.compile(r"(?i)\b(bearer)(\s{1,3})[a-z0-9\-._~+/]{8,2000}={0,2}"), r"\1\2***"),
    (
        both(has_digit, holds_word(*_SCHEMES)),
        re.compile(
            r"(?i)\b(basic|digest|negotiate|token|key|"
            r"password)(\s{1,3})(?=[^\s\d]{0,60}\d)[a-z0-9\-._~+/]{12,2000}={0,2}"
        ),
        r"\1\2***",
    ),
    (_may_assign, _assigned("bearer|basic"), r"\1***"),
    (
        holds("@"),
        re.compile(r"[\w.+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,6}"),
        _MASKED,
    ),
    (has_digit, re.compile(r"\d(?:[ \-]?\d){7,40}"), _MASKED),
    (
        has_digit,
        re.compile(r"\b(?=[A-Za-z+/_\-]{0,60}\d)(?=[\d+/_\-]{0,60}[A-Za-z])[A-Za-z0-9+/_\-]{40,2000}={0,2}"),
        _MASKED,
    ),
)


# Words without digits or signs of an assignment hold no secret, and most excerpts are words alone.
_has_sign = holds("earer", "---", " is ", " was ")
_WORDS_ONLY = re.compile(r"[^\d@=:/]{0,80}")


def mask(text: str) -> str:
    """Replace credentials in URLs, tokens, keys, e-mail addresses and runs of eight or more digits by `***`."""
    if _WORDS_ONLY.fullmatch(text) and not _has_sign(text):
        return text
    for may_match, pattern, replacement in _RULES:
        if may_match(text):
            text = pattern.sub(replacement, text)
    return text


_BEFORE = 60
"""Characters in which the name of a secret, or the word of a scheme, stands before what it names."""
_LONGEST = 1_100
"""Characters of a name and its value, about: the patterns above take a thousand of a value."""
_may_name = holds(*_SECRETS, "bearer", "basic", "digest", "negotiate")
_ENDS_VALUES = frozenset(" \t\r\n\"',;&)}]")


def mask_part(text: str, start: int, end: int) -> str:
    """A part of a text, masked as it would be within the whole: it may begin behind the name of a secret."""
    part = mask(text[start:end])
    before = text[max(0, start - _BEFORE) : start]
    if not before or (before[-1] in _ENDS_VALUES and not _may_name(before.lower())):
        return part
    hidden = mask(text[max(0, start - _LONGEST) : end])
    return part if part in hidden else hidden[-len(part) :]
