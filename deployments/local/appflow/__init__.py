"""A strict Amazon AppFlow that runs anywhere; see `simulator`."""

from deployments.local.appflow.future import Outcome, Script
from deployments.local.appflow.simulator import SCRIPT_PATH, AppFlowSimulator

__all__ = ["SCRIPT_PATH", "AppFlowSimulator", "Outcome", "Script"]
