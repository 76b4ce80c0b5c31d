"""Publish the rows of an outbox table that are due: look first, then act.

python examples/outbox_records.py orders-outbox arn:aws:sns:eu-central-1:123456789012:orders
"""

import sys

from flows.outbox_records import recover_outbox_records
from recovery.outbox_records.policy import OutboxRequest

table, topic = sys.argv[1:]
look = OutboxRequest(table=table, topic_arn=topic)
print(recover_outbox_records(look))
print(recover_outbox_records(look.model_copy(update={"dry_run": False})))
