"""python -m tests.browser.carry_out RUN ...: flow runs that wait on a server, carried out here one after another.

A worker starts an interpreter for each run; four of them at once would be most of the cost of these tests.
"""

from __future__ import annotations

import sys
from uuid import UUID

from prefect.flow_engine import load_flow_and_flow_run, run_flow_sync

if __name__ == "__main__":
    for argument in sys.argv[1:]:
        flow_run, flow = load_flow_and_flow_run(UUID(argument))
        run_flow_sync(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
