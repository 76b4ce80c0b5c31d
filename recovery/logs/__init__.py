"""Reading a consumer's log group in CloudWatch Logs, within a budget: windows asked once, grouped, and to their end."""

from recovery.logs.budget import LogBudget
from recovery.logs.search import Found, Logs
from recovery.logs.windows import Sought, Unfinished

__all__ = ["Found", "LogBudget", "Logs", "Sought", "Unfinished"]
