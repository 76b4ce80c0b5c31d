"""The few errors of the project, named by what the caller does next.

RepriseError
 +- Transient      try again later; nothing is known to be wrong with the request
 |   +- OutcomeUnknown   the request may have been carried out: verify before repeating a side effect
 +- Refused        AWS refused it, and the same request will be refused again until a person changes something
 +- Conflict       somebody else got there first, or the state moved on: read again and decide again
 +- BadInput       a person's mistake in a request, a setting or a file: names the field and what was expected
 +- Incomplete     the run did what it could and published its report, but some work did not go through

`recovery.aws.calling` turns botocore's exceptions into the first four.
"""

from __future__ import annotations


class RepriseError(Exception):
    """Base of all errors that the project raises on purpose.

    Attributes:
        code: the error code as AWS spelled it, or "" where there is none.
        operation: the API operation, as "sqs:SendMessageBatch", or "".
    """

    def __init__(self, message: str, *, code: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation


class Transient(RepriseError):
    """Throttled, unreachable or briefly broken, and certainly not carried out: the next run may succeed unchanged."""


class OutcomeUnknown(Transient):
    """The answer was not read (time-out, reset, 5xx): the request may have taken effect.

    Source: a ReadTimeoutError, a closed connection and every 5xx leave the outcome open (AWS SDK retry behaviour).
    """


class Refused(RepriseError):
    """Missing permission, missing resource, invalid request: repeating it unchanged cannot succeed."""


class Conflict(RepriseError):
    """A condition failed or the resource is in another state than expected: read again, decide again."""


class BadInput(RepriseError):
    """A mistake in a request, a setting or a file; the message names the field and what was expected."""


class Incomplete(RepriseError):
    """The run ended with work that did not go through.

    Attributes:
        report: the run's report (a `recovery.report.RecoveryReport`), published before this was raised.
    """

    def __init__(self, message: str, report: object) -> None:
        super().__init__(message)
        self.report = report
