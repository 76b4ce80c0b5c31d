"""Restart DMS tasks that failed; a reload, which empties tables of the target, is allowed for one of them only.

python examples/replication_tasks.py "orders-*" orders-history
"""

import sys

from flows.replication_tasks import recover_replication_tasks
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest

tasks, reloadable = sys.argv[1:]
look = ReplicationRequest(tasks=[tasks], policy=ReplicationPolicy(allow_reload=[reloadable]))
print(recover_replication_tasks(look))
print(recover_replication_tasks(look.model_copy(update={"dry_run": False})))
