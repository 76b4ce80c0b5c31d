"""Run AppFlow flows again whose last run failed: look first, then act.

python examples/appflow_runs.py "orders-*"
"""

import sys

from flows.appflow_runs import recover_appflow_runs
from recovery.appflow_runs.policy import AppFlowRequest

look = AppFlowRequest(flows=sys.argv[1:] or ["orders-*"])
print(recover_appflow_runs(look))
print(recover_appflow_runs(look.model_copy(update={"dry_run": False})))
