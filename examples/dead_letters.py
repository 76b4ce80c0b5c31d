"""Bring the messages of one dead-letter queue back: look first, then act.

python examples/dead_letters.py orders-dlq
"""

import sys

from flows.dead_letters import recover_dead_letters
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest

look = DeadLetterRequest(
    queues=sys.argv[1:] or ["orders-dlq"],
    policy=DeadLetterPolicy(error_attributes=["error"]),  # your consumer leaves its error in this attribute
)
print(recover_dead_letters(look))
print(recover_dead_letters(look.model_copy(update={"dry_run": False})))
