"""Import this first: the process sees no person's accounts or server, as in tests, and Prefect does not talk."""

import os

from tests.conftest import pytest_unconfigure

os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"

tidy_up = pytest_unconfigure
"""Removes what was made for this process alone."""
