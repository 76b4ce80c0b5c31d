"""Failure texts: whatever they say, `recovery.failures` answers soon, with a reason, and without secrets."""

from __future__ import annotations

import time
from typing import Any

from proof.rubbish.mutation import Rubbish
from recovery.failures import Evidence, Kind, diagnose, fingerprint, mask, normalise
from recovery.failures.diagnosis import QUOTE
from recovery.failures.groups import CAP
from tests.unit.failures.texts import TEXTS

REAL = [text.error for texts in TEXTS.values() for text in texts]
SECRET = "kwyjibo"
"""Neither long nor with a digit, so that nothing but the mask of secrets takes it away."""
PLANTED = (
    f" password={SECRET} ",
    f' "password": "{SECRET}" ',
    f" Authorization: Bearer {SECRET}{SECRET} ",
    f" postgres://app:{SECRET}@db.example.com/orders ",
    f" api_key={SECRET}, ",
    f" client_secret='{SECRET}' ",
    f" AccountKey={SECRET}; ",
)


def is_marked(text: str) -> bool:
    """True when a secret stands there, and everywhere with its mark: a mutation may have torn one off."""
    rest = text.replace("\\", "")
    for planted in PLANTED:
        rest = rest.replace(planted.strip(), "")
    return SECRET in text and SECRET not in rest


SECONDS = 0.5
"""Processor time that one text of any length may take."""


def made(rubbish: Rubbish) -> dict[str, Any]:
    """A mutated failure text with a secret in it, and attributes beside it."""
    text = rubbish.pick(REAL)
    if rubbish.chance(0.8):
        text = rubbish.broken(text)
    if rubbish.chance(0.02):
        text = (text + rubbish.text()) * rubbish.pick((50, 500))
    secret = rubbish.pick(PLANTED) if rubbish.chance(0.5) else ""
    at = rubbish.pick((0, len(text)))
    names = ("ERROR_CODE", "ErrorMessage", "errorType", "statusCode", "x-death", rubbish.text()[:40])
    attributes = {rubbish.pick(names): rubbish.text() for _ in range(rubbish.random.randint(0, 2))}
    return {
        "error": text[:at] + secret + text[at:],
        "body": rubbish.text() if rubbish.chance(0.5) else None,
        "attributes": attributes,
    }


def outcome(case: dict[str, Any]) -> str:
    """The kind of failure; raises AssertionError for a text that is not answered as it must be."""
    began = time.thread_time()
    found = diagnose(Evidence(**case))
    text = normalise(case["error"])
    masked = mask(case["error"][:5_000])
    taken = time.thread_time() - began
    assert taken < SECONDS, f"took {taken:.2f} s of the processor"
    assert found.kind in Kind
    assert found.reason
    assert found.rule
    assert len(text) <= CAP
    assert len(found.quote) <= QUOTE
    assert len(fingerprint(found, case["error"])) == 16
    if is_marked(case["error"]):
        assert SECRET not in text, "a secret stands in the normalised text"
        assert SECRET not in found.quote, "a secret stands in the quote"
        assert SECRET not in found.reason, "a secret stands in the reason"
        assert SECRET not in masked[:4_000], "a secret stands in the masked text"
    return str(found.kind)
