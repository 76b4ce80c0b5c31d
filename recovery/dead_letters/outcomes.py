"""Outcomes of SQS's batches, entry by entry, and the meaning of its refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from recovery.aws import is_throttle, redact
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient

_T = TypeVar("_T")

_PERMISSION = re.compile(r"not authorized to perform: (\w[\w-]*:\w+)")


@dataclass(frozen=True, slots=True)
class Sent:
    """One entry of a batch went through; `message_id` is the new one (only for sends)."""

    message_id: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """One entry did not go through.

    Attributes:
        error: what AWS answered, as one of our errors: Transient (not carried out), OutcomeUnknown, or Refused.
        its_own_fault: the entry itself was refused, not the queue or the caller.
    """

    error: RepriseError
    its_own_fault: bool = False


Outcome = Sent | NotSent

OF_CONTENT = frozenset(
    {
        "BatchRequestTooLong",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "MissingParameter",
        "MessageTooLong",
    }
)
"""Refusals of an entry that speak of the entry itself; all others speak of the queue, its key or the caller."""


def paired(parts: Sequence[Sequence[_T]], outcomes: Sequence[Sequence[Outcome]]) -> list[tuple[_T, Outcome]]:
    """Return each thing of each batch with its outcome."""
    return [pair for part, stated in zip(parts, outcomes, strict=True) for pair in zip(part, stated, strict=True)]


def queue_problem(name: str, error: RepriseError) -> str:
    """Describe in one line why a queue cannot be worked on: the permission that is missing, and AWS's own words."""
    if is_missing(error):
        return f"queue {name}: does not exist in this account and region"
    if is_denied(error):
        named = _PERMISSION.search(str(error))
        permission = named[1] if named else "kms:Decrypt" if _of_key(error) else error.operation
        return f"queue {name}: permission {permission} is missing for this role ({error})"
    if isinstance(error, Transient):
        return f"queue {name}: could not be read now ({error.code or 'no answer'}); the next run tries again"
    return f"queue {name}: {error}"


def is_denied(error: RepriseError) -> bool:
    """True when a person must grant something: to the role, in the queue's policy, or of the key."""
    code = error.code.lower()
    return isinstance(error, Refused) and ("denied" in code or code.startswith("authorizationerror") or _of_key(error))


def _of_key(error: RepriseError) -> bool:
    return error.code.lower().startswith("kms")


def is_missing(error: RepriseError) -> bool:
    """True when SQS answered that the queue does not exist, in any spelling of that code."""
    return error.code.rpartition(".")[2] in {"NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"}


def outcomes_of(
    ids: Sequence[str], done: Mapping[str, Sent], failed: Sequence[Mapping[str, Any]], operation: str
) -> list[Outcome]:
    """Return the outcome of each entry of a batch, in the order of the entries.

    Args:
        ids: of the entries.
        done: those that went through, by id.
        failed: `Failed` of the answer.
        operation: the IAM action.
    """
    not_done = {item["Id"]: item for item in failed}
    outcomes: list[Outcome] = []
    for entry_id in ids:
        if entry_id in done:
            outcomes.append(done[entry_id])
        elif entry_id in not_done:
            outcomes.append(_failure(not_done[entry_id], operation))
        else:
            # An answer that mentions an entry nowhere leaves open what became of it.
            outcomes.append(
                NotSent(OutcomeUnknown(f"{operation}: the answer does not mention it", operation=operation))
            )
    return outcomes


def _failure(item: Mapping[str, Any], operation: str) -> NotSent:
    code = str(item.get("Code", ""))
    text = f"{operation}: {code}: {redact(str(item.get('Message', '')))}"
    if is_throttle(code):
        return NotSent(Transient(text, code=code, operation=operation))
    refusal = Refused(text, code=code, operation=operation)
    if is_denied(refusal) or is_missing(refusal):
        return NotSent(refusal)
    if not item.get("SenderFault"):
        # As with a whole request that SQS answers with a 5xx: the entry may have been carried out.
        return NotSent(OutcomeUnknown(text, code=code, operation=operation))
    return NotSent(refusal, its_own_fault=code.rpartition(".")[2] in OF_CONTENT)
