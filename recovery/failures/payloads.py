"""The evidence of a payload itself: it cannot be read, or it breaks its schema."""

from __future__ import annotations

import json

_MAX_PARSED = 1_048_576


def unreadable(body: str | None) -> str:
    """The fault of a payload that cannot be read, as the end of a sentence about it; "" when there is none.

    Weak evidence: only what no consumer could read counts (JSON that breaks off, NUL bytes), never what it says.
    """
    if body is None:
        return ""
    text = body.strip()
    if not text:
        return ""
    if "\x00" in text:
        return "holds NUL bytes"
    if "\ufffd" in text:
        return "holds characters that were broken on the way"
    if text[0] in "{[" and len(text) <= _MAX_PARSED:
        try:
            json.loads(text)
        except ValueError:
            return "looks like JSON and is not"
        except RecursionError:
            return "is nested too deeply to be read"
    return ""
