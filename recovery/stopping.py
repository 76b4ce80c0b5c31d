"""The sign by which a worker that is asked to stop asks its runs to end.

It is a file, named in each run's environment: a run that is only being loaded sees it as well as one under way, and
asking for it costs one call of the system. Runs that no such worker started are never asked.
"""

from __future__ import annotations

import os
from pathlib import Path

STOP_FILE = "RECOVERY_STOP_FILE"
"""Variable with the path of the file; the worker makes both, and nobody else needs them."""


def is_asked_to_stop() -> bool:
    """True when this run's worker was asked to stop: nothing new is taken up, and what is in hand is finished."""
    file = os.environ.get(STOP_FILE)
    return bool(file) and Path(str(file)).exists()
