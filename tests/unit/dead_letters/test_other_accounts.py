"""Queues of other accounts: each is looked up in the account of its ARN, not in that of its dead-letter queue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.dead_letters.work import Work

OURS, THEIRS = "111111111111", "222222222222"


class Sqs:
    """GetQueueUrl in an account where every name exists, here and there; a lenient one forgets whose was asked for."""

    def __init__(self, *, lenient: bool) -> None:
        self.lenient = lenient

    def url(self, name: str, account: str = "") -> str:
        owner = OURS if self.lenient or not account else account
        return f"https://sqs.eu-west-1.amazonaws.com/{owner}/{name}"


@pytest.mark.parametrize(
    ("written", "lenient", "account"),
    [
        (f"arn:aws:sqs:eu-west-1:{THEIRS}:orders", False, THEIRS),
        (f"arn:aws:sqs:eu-west-1:{OURS}:orders", False, OURS),
        ("orders", False, OURS),
        (f"arn:aws:sqs:eu-west-1:{THEIRS}:orders", True, ""),
        (f"arn:aws:sqs:eu-west-1:{OURS}:orders", True, OURS),
    ],
)
@pytest.mark.parametrize("owner", [OURS, THEIRS])
def test_a_queue_of_another_account_is_never_taken_for_one_of_ours(
    written: str, lenient: bool, account: str, owner: str
) -> None:
    """Neither where the dead-letter queue lies in that account too, nor where the answer is of another account."""
    run: Any = SimpleNamespace(_urls={}, sqs=Sqs(lenient=lenient))
    home = f"arn:aws:sqs:eu-west-1:{owner}:orders-dlq"
    url = Work.url_of(cast("Work", run), written, home)
    assert url == (f"https://sqs.eu-west-1.amazonaws.com/{account}/orders" if account else "")
