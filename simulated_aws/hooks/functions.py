"""Lambda functions that run elsewhere: their mappings are AWS's to list, and their work is done by another process.

The emulator runs a function's own code for each batch that it takes from a queue. A workload that stands for a
function, and takes from the queue by itself, says so by an environment variable of the function.
"""

from __future__ import annotations

from typing import Any

RUNS_ELSEWHERE = "SIMULATED_RUNS_ELSEWHERE"
"""The environment variable of such a function; any value."""


class OutsideFunctions:
    """Keeps the emulator from taking messages for functions that run elsewhere.

    Args:
        functions: the module `ministack.services.lambda_svc`.
    """

    def __init__(self, functions: Any) -> None:
        self._functions = functions
        self._concurrency = functions._sqs_esm_concurrency

    def install(self) -> None:
        self._functions._sqs_esm_concurrency = self.concurrency

    def concurrency(self, mapping: Any, function: Any, config: Any, queue: Any = None) -> int:
        """Batches of one mapping under way at once: none where the function runs elsewhere."""
        variables = (config.get("Environment") or {}).get("Variables") or {}
        if RUNS_ELSEWHERE in variables:
            return 0
        return int(self._concurrency(mapping, function, config, queue))
