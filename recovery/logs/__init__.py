"""Reading a consumer's log group in CloudWatch Logs: windows asked once, grouped, and to their end."""

from recovery.logs.allowance import LogAllowance
from recovery.logs.search import Found, Logs
from recovery.logs.windows import Sought, Unfinished

__all__ = ["Found", "LogAllowance", "Logs", "Sought", "Unfinished"]
