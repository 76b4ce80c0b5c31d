"""Texts of connectors and of AppFlow itself: the cause, the nature of it, and the step for a person. Pure data.

One row a text, tried in order before the shared diagnosis. A row is here because the shared diagnosis cannot know what
the words mean to this connector: a quota that is counted by time or by what runs at once comes back by itself, one that
is bought, stored or set for a run does not. The sources name documents and error lists of the makers; where none prints
the text, the row matches the code.
"""

from __future__ import annotations

from recovery.appflow_runs.connectors import CONNECTORS
from recovery.appflow_runs.known_text import DAY, LESS, LIMIT, RATE, SPLIT, SPREAD, Text, row

TEXTS: tuple[Text, ...] = (
    *CONNECTORS,
    # -- AppFlow itself, and words of any connector --------------------------------------------------------------
    row(
        "concurrent",
        "any",
        r"\b(?:concurren\w+|simultaneous\w*|parallel|at once|at the same time|in progress|in flight)\b"
        r"[^.]{0,80}\b(?:quota|limit|exceed\w*|exhausted|reached|maximum|too many)\b"
        r"|\b(?:quota|limit|exceed\w*|exhausted|reached|maximum|too many)\b[^.]{0,80}"
        r"\b(?:concurren\w+|simultaneous\w*|parallel|at once|at the same time|in progress|in flight)\b",
        RATE,
        "As much runs at once as may: it passes when some of it has ended.",
        SPREAD,
        "AppFlow user guide: quotas, concurrent flow runs; error lists of the connectors",
        "ServiceQuotaExceededException: too many concurrent flow runs",
    ),
    row(
        "by-day",
        "any",
        r"\b(?:quota|limit|requests|calls?)\b[^.]{0,90}"
        r"\b(?:daily|(?:per|a|each|this|the|for|current|same) day|24[ -]?(?:h|hours?)|today)\b"
        r"|\b(?:daily|24[ -]?(?:h|hours?))\b[^.]{0,60}"
        r"\b(?:quota|limit|allowance|allotment|requests|calls?|exceed\w*)\b",
        DAY,
        "A quota that is counted by the day is used up.",
        LESS,
        "error lists of the connectors",
        "Daily API limit reached",
    ),
    row(
        "by-time",
        "any",
        r"\b(?:quota|limit|requests?|calls?)\b[^.]{0,60}\b(?:hourly|"
        r"(?:per|an?|each|every|this|the|current|same)[ _-]?(?:\d+[ _-]?)?"
        r"(?:s|sec|second|minute|min|hour|interval|user)s?|rolling|reset\w*|retry|wait|later)\b"
        r"|\b(?:hourly|secondly|minutely|rate|burst|per[ _-]?(?:\d+[ _-]?)?(?:second|minute|hour|user)s?)\b[^.]{0,60}"
        r"\b(?:quota|limit|exceed\w*|exhausted|allowance)\b|\b429\b|too many requests|throttl\w*|rate_?limit\w*",
        RATE,
        "A quota that is counted by the hour or less is used up.",
        SPREAD,
        "error lists of the connectors",
        "The hourly quota of this organisation is exhausted",
    ),
    row(
        "too-much-for-a-run",
        "AppFlow",
        r"(?:exceed\w*|larger than|more than|above|maximum)\b[^.]{0,60}\b\d+(?:\.\d+)? ?(?:KB|MB|GB|MiB|GiB)\b"
        r"|(?:file|payload|record|event|object) (?:size )?(?:is )?too large",
        LIMIT,
        "A run, a file or a record is larger than AppFlow or the connector takes.",
        SPLIT,
        "AppFlow user guide: quotas of a flow run",
        "The run exceeds the limit of 100 GB",
    ),
    row(
        "quota",
        "any",
        r"\bquota|service ?quota|quotaexceeded|per month|monthly",
        LIMIT,
        "A quota is used up, and waiting does not bring it back.",
        "raise or free the quota",
        "AppFlow user guide: quotas, flow runs a month",
        "The flow runs of this month are used up: quota exceeded",
    ),
)
"""In the order in which they are tried."""

BY_RULE = {f"appflow.{text.id}": text for text in TEXTS}
