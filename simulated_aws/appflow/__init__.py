"""A strict Amazon AppFlow that runs anywhere; see `simulator`."""

from simulated_aws.appflow.future import Outcome, Script
from simulated_aws.appflow.simulator import SCRIPT_PATH, AppFlowSimulator

__all__ = ["SCRIPT_PATH", "AppFlowSimulator", "Outcome", "Script"]
