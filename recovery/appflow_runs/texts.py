"""Texts of connectors and of AppFlow itself: the cause, whether it passes by itself, what a person does. Pure data.

One row a text, tried in order before the shared diagnosis. A row is here because the shared diagnosis cannot know what
the words mean to this connector: a quota that is counted by time or by what runs at once comes back by itself, one that
is bought, stored or set for a run does not. The sources name documents and error lists of the makers; where none prints
the text, the row matches the code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from recovery.failures.models import Kind


class Nature(StrEnum):
    """What becomes of the cause when nobody does anything."""

    PASSES = "passes"  # within minutes
    DAILY = "daily"  # within a day: tried again hours apart
    LASTS = "lasts"


@dataclass(frozen=True, slots=True)
class Text:
    """One row.

    Attributes:
        id: after `appflow.`, the rule of the diagnosis.
        connector: whose words these are; "any" for all, "AppFlow" for its own.
        pattern: what must stand in the text.
        kind, nature: what it means.
        cause: a sentence for a person.
        step: what a person does when it does not pass by itself.
        source: the document that has the text or the code.
        example: a text that it fits, in our words.
    """

    id: str
    connector: str
    pattern: re.Pattern[str]
    kind: Kind
    nature: Nature
    cause: str
    step: str
    source: str
    example: str


def _row(id_: str, connector: str, pattern: str, meaning: tuple[Kind, Nature], *words: str) -> Text:
    cause, step, source, example = words
    return Text(id_, connector, re.compile(pattern, re.IGNORECASE), *meaning, cause, step, source, example)


_RATE = (Kind.THROTTLED, Nature.PASSES)
_DAY = (Kind.THROTTLED, Nature.DAILY)
_DOWN = (Kind.DEPENDENCY_FAILURE, Nature.PASSES)
_SLOW = (Kind.TIMEOUT, Nature.PASSES)
_LIMIT = (Kind.VALIDATION_ERROR, Nature.LASTS)
_RIGHTS = (Kind.AUTH_FAILURE, Nature.LASTS)

_LESS = "run the flow less often, or ask the application for a higher limit"
_SPREAD = "spread the schedules of the flows that use this application"
_SPLIT = "split the flow by filters, so that a run moves less"
_RENEW = "connect its connector profile again"

TEXTS: tuple[Text, ...] = (
    # -- Salesforce ----------------------------------------------------------------------------------------------
    _row(
        "salesforce-storage",
        "Salesforce",
        r"STORAGE_LIMIT_EXCEEDED",
        _LIMIT,
        "The organisation's storage is full.",
        "free or buy storage in Salesforce",
        "Salesforce SOAP API: ExceptionCode",
        "STORAGE_LIMIT_EXCEEDED: storage limit exceeded",
    ),
    _row(
        "salesforce-concurrent",
        "Salesforce",
        r"concurrent\w*(?: api)?(?: requests?|perorg\w*)?\b[^.]{0,40}limit exceeded|ConcurrentPerOrg",
        _RATE,
        "Too many long requests run in the organisation at once.",
        _SPREAD,
        "Salesforce API: REQUEST_LIMIT_EXCEEDED, concurrent requests",
        "REQUEST_LIMIT_EXCEEDED: ConcurrentRequests Limit exceeded",
    ),
    _row(
        "salesforce-daily",
        "Salesforce",
        r"TotalRequests limit|ApiBatchItems limit|ApiQueryItems",
        _DAY,
        "The requests of the organisation for 24 hours are used up.",
        _LESS,
        "Salesforce API: REQUEST_LIMIT_EXCEEDED; Bulk API limits",
        "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded",
    ),
    _row(
        "salesforce-lock",
        "Salesforce",
        r"UNABLE_TO_LOCK_ROW|SERVER_UNAVAILABLE|API_CURRENTLY_DISABLED",
        _DOWN,
        "Salesforce is busy or closed for the moment.",
        "look at the status page of Salesforce",
        "Salesforce SOAP API: ExceptionCode",
        "UNABLE_TO_LOCK_ROW: another process holds this record",
    ),
    _row(
        "salesforce-off",
        "Salesforce",
        r"API_DISABLED_FOR_ORG|REQUEST_LIMIT_NOT_ENABLED",
        _RIGHTS,
        "The organisation has no API access.",
        "enable API access for the organisation or its edition",
        "Salesforce SOAP API: ExceptionCode",
        "API_DISABLED_FOR_ORG: not enabled for this organisation",
    ),
    # -- Google Analytics and Google Ads -------------------------------------------------------------------------
    _row(
        "google-daily",
        "Google Analytics, Ads",
        r"dailyLimitExceeded|(?:tokens|requests|operations|queries)\W+(?:\w+\W+){0,6}"
        r"(?:per|a|in one|for (?:the|this|one)) day",
        _DAY,
        "A quota of Google that is counted by the day is used up.",
        "ask Google for a higher quota, or pull fewer dimensions and days",
        "Google Analytics Data API: limits and quotas; Google Ads API: access levels",
        "RESOURCE_EXHAUSTED: exhausted property tokens per day",
    ),
    _row(
        "google-exhausted",
        "Google Analytics, Ads",
        r"RESOURCE(?:_TEMPORARILY)?_EXHAUSTED|exhausted\W+(?:\w+\W+){0,5}(?:quota|tokens|requests)|rateLimitExceeded",
        _RATE,
        "A quota of Google that is counted by the hour, or by what runs at once, is used up.",
        "ask Google for a higher quota, or spread the schedules",
        "Google Analytics Data API: limits and quotas; Google Ads API: QuotaError",
        "Exhausted property tokens for a project per hour",
    ),
    # -- Marketo -------------------------------------------------------------------------------------------------
    _row(
        "marketo-daily",
        "Marketo",
        r"\b607\b[^.]{0,40}quota|daily (?:api |export |import |extract )?quota|export daily quota",
        _DAY,
        "Marketo's quota for the day is used up; it comes back at midnight, US Central time.",
        _LESS,
        "Marketo REST API: error codes 607 and 1029",
        "607: daily quota reached",
    ),
    _row(
        "marketo-rate",
        "Marketo",
        r"\b606\b[^.]{0,40}(?:rate|limit)|\b615\b[^.]{0,40}(?:concurren|limit)|\b1029\b[^.]{0,40}(?:queue|jobs)"
        r"|too many jobs",
        _RATE,
        "Marketo takes fewer requests, or jobs at once, than were sent.",
        _SPREAD,
        "Marketo REST API: error codes 606, 615 and 1029",
        "615: concurrent access limit reached",
    ),
    _row(
        "marketo-moment",
        "Marketo",
        r"\b(?:604|608|611|713)\b[^.]{0,40}(?:unavailable|timed? ?out|transient|system error)"
        r"|API temporarily unavailable",
        _DOWN,
        "Marketo cannot answer at the moment.",
        "look at the status page of Marketo",
        "Marketo REST API: error codes 604, 608, 611 and 713",
        "608: API temporarily unavailable",
    ),
    # -- Zendesk, HubSpot, Slack, ServiceNow -----------------------------------------------------------------------
    _row(
        "hubspot-daily",
        "HubSpot",
        r"reached your daily limit|policyName\W+DAILY",
        _DAY,
        "HubSpot's requests for the day are used up; they come back at midnight of the account's time zone.",
        _LESS,
        "HubSpot API: usage guidelines and limits",
        "You have reached your daily limit",
    ),
    _row(
        "rolling-limit",
        "HubSpot, Zendesk, Slack",
        r"\bsecondly\b|TEN_SECONDLY_ROLLING|\brate_?limited\b|number of allowed [\w ]{0,40}requests per minute",
        _RATE,
        "The application takes fewer requests a minute than were sent.",
        _SPREAD,
        "HubSpot API limits; Zendesk rate limits; Slack rate limits",
        "You have reached your ten_secondly_rolling limit",
    ),
    _row(
        "slack-rights",
        "Slack",
        r"\b(?:token_revoked|token_expired|account_inactive|missing_scope|not_in_channel|invalid_auth|not_authed)\b",
        _RIGHTS,
        "Slack does not accept the token, or it may not read this.",
        _RENEW,
        "Slack Web API: errors of conversations.history",
        "missing_scope",
    ),
    _row(
        "servicenow-records",
        "ServiceNow",
        r"100,?000 records",
        _LIMIT,
        "A run pulls more records than AppFlow takes from ServiceNow.",
        _SPLIT,
        "AppFlow user guide: quotas, ServiceNow",
        "The maximum of 100,000 records is exceeded",
    ),
    _row(
        "servicenow-quota-rule",
        "ServiceNow",
        r"transaction cancel\w+[^.]{0,60}(?:execution time|quota)|maximum execution time exceeded|semaphore",
        _SLOW,
        "ServiceNow ended a request that took too long, or had no thread for it.",
        _SPLIT,
        "ServiceNow: transaction quotas; semaphores",
        "Transaction cancelled: maximum execution time exceeded",
    ),
    _row(
        "servicenow-asleep",
        "ServiceNow",
        r"instance (?:is )?hibernating|hibernating instance",
        _LIMIT,
        "The instance sleeps until somebody wakes it.",
        "wake the instance",
        "ServiceNow developer site: hibernation",
        "The instance is hibernating",
    ),
    # -- SAP -----------------------------------------------------------------------------------------------------
    _row(
        "sap-busy",
        "SAP",
        r"TSV_TNEW_PAGE_ALLOC_FAILED|no (?:free|more) (?:dialog )?work process"
        r"|(?:sessions|connections) (?:reached|exhausted)"
        r"|maximum number of (?:\w+ ){0,2}(?:sessions|connections)",
        _DOWN,
        "SAP has no memory, work process or session free at the moment.",
        "run the flow at another time, or with fewer parallel requests",
        "SAP: short dumps and work processes; AppFlow user guide: SAP OData, concurrency",
        "No free work process available",
    ),
    _row(
        "sap-delta",
        "SAP",
        r"delta (?:token|link|pointer)\W+(?:\w+\W+){0,4}(?:invalid|expired|unknown|not (?:found|valid))",
        _LIMIT,
        "SAP no longer knows from where to go on.",
        "run a full transfer of the flow once",
        "SAP: operational data provisioning, delta queues",
        "The delta token is expired",
    ),
    # -- Snowflake, S3, Redshift ---------------------------------------------------------------------------------
    _row(
        "snowflake-monitor",
        "Snowflake",
        r"resource monitor\b[^.]{0,80}(?:quota|exceeded)|warehouse\b[^.]{0,60}cannot be resumed",
        _LIMIT,
        "A resource monitor stopped the warehouse: its credits are used up.",
        "raise the quota of the resource monitor, or wait for its next interval",
        "Snowflake: resource monitors",
        "Warehouse W cannot be resumed because resource monitor M has exceeded its quota",
    ),
    _row(
        "snowflake-queue",
        "Snowflake",
        r"number of waiters|statement queued? timeout|statement or warehouse timeout|(?:000625|000630|000604|390114)",
        _SLOW,
        "The warehouse was too busy for this statement.",
        "use a larger warehouse, or another time",
        "Snowflake: error codes 000625 and 000630",
        "The number of waiters for this lock exceeds the limit",
    ),
    _row(
        "s3-slow-down",
        "S3",
        r"\bSlow ?Down\b|reduce your request rate",
        _RATE,
        "S3 takes fewer requests for this prefix than were sent.",
        _SPREAD,
        "S3 API: error responses",
        "SlowDown: reduce the rate",
    ),
    _row(
        "redshift-concurrent",
        "Redshift",
        r"ActiveStatementsExceeded|active statements exceeded|connection limit\b[^.]{0,60}exceeded|too many connections"
        r"|serializable isolation violation|deadlock detected",
        _RATE,
        "Redshift runs as many statements or connections at once as it may.",
        _SPREAD,
        "Redshift Data API: exceptions; Redshift: limits, serializable isolation",
        "ActiveStatementsExceededException",
    ),
    _row(
        "redshift-away",
        "Redshift",
        r"cluster\b[^.]{0,60}(?:is (?:paused|paus\w+|resizing|rebooting|modifying)|not available)",
        _DOWN,
        "The cluster is paused or being changed.",
        "resume the cluster",
        "Redshift: cluster status",
        "The cluster is resizing",
    ),
    _row(
        "redshift-load",
        "Redshift",
        r"stl_load_errors|sys_load_error_detail|disk full",
        _LIMIT,
        "Redshift could not load the records.",
        "look at stl_load_errors, correct columns or mapping, or free disk",
        "Redshift: STL_LOAD_ERRORS",
        "Load into table failed: see stl_load_errors",
    ),
    # -- AppFlow itself, and words of any connector --------------------------------------------------------------
    _row(
        "concurrent",
        "any",
        r"\b(?:concurren\w+|simultaneous\w*|parallel|at once|at the same time|in progress|in flight)\b"
        r"[^.]{0,80}\b(?:quota|limit|exceed\w*|exhausted|reached|maximum|too many)\b"
        r"|\b(?:quota|limit|exceed\w*|exhausted|reached|maximum|too many)\b[^.]{0,80}"
        r"\b(?:concurren\w+|simultaneous\w*|parallel|at once|at the same time|in progress|in flight)\b",
        _RATE,
        "As much runs at once as may: it passes when some of it has ended.",
        _SPREAD,
        "AppFlow user guide: quotas, concurrent flow runs; error lists of the connectors",
        "ServiceQuotaExceededException: too many concurrent flow runs",
    ),
    _row(
        "by-day",
        "any",
        r"\b(?:quota|limit|requests|calls?)\b[^.]{0,90}"
        r"\b(?:daily|(?:per|a|each|this|the|for|current|same) day|24[ -]?(?:h|hours?)|today)\b"
        r"|\b(?:daily|24[ -]?(?:h|hours?))\b[^.]{0,60}"
        r"\b(?:quota|limit|allowance|allotment|requests|calls?|exceed\w*)\b",
        _DAY,
        "A quota that is counted by the day is used up.",
        _LESS,
        "error lists of the connectors",
        "Daily API limit reached",
    ),
    _row(
        "by-time",
        "any",
        r"\b(?:quota|limit|requests?|calls?)\b[^.]{0,60}\b(?:hourly|"
        r"(?:per|an?|each|every|this|the|current|same)[ _-]?(?:\d+[ _-]?)?"
        r"(?:s|sec|second|minute|min|hour|interval|user)s?|rolling|reset\w*|retry|wait|later)\b"
        r"|\b(?:hourly|secondly|minutely|rate|burst|per[ _-]?(?:\d+[ _-]?)?(?:second|minute|hour|user)s?)\b[^.]{0,60}"
        r"\b(?:quota|limit|exceed\w*|exhausted|allowance)\b|\b429\b|too many requests|throttl\w*|rate_?limit\w*",
        _RATE,
        "A quota that is counted by the hour or less is used up.",
        _SPREAD,
        "error lists of the connectors",
        "The hourly quota of this organisation is exhausted",
    ),
    _row(
        "too-much-for-a-run",
        "AppFlow",
        r"(?:exceed\w*|larger than|more than|above|maximum)\b[^.]{0,60}\b\d+(?:\.\d+)? ?(?:KB|MB|GB|MiB|GiB)\b"
        r"|(?:file|payload|record|event|object) (?:size )?(?:is )?too large",
        _LIMIT,
        "A run, a file or a record is larger than AppFlow or the connector takes.",
        _SPLIT,
        "AppFlow user guide: quotas of a flow run",
        "The run exceeds the limit of 100 GB",
    ),
    _row(
        "quota",
        "any",
        r"\bquota|service ?quota|quotaexceeded|per month|monthly",
        _LIMIT,
        "A quota is used up, and waiting does not bring it back.",
        "raise or free the quota",
        "AppFlow user guide: quotas, flow runs a month",
        "The flow runs of this month are used up: quota exceeded",
    ),
)
"""In the order in which they are tried."""

BY_RULE = {f"appflow.{text.id}": text for text in TEXTS}
