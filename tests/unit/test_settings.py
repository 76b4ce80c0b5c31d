"""Settings that the project reads from the environment."""

from __future__ import annotations

import pytest

from recovery import settings
from recovery.errors import BadInput


def test_a_setting_that_is_not_set_has_its_default() -> None:
    """Set to nothing is not set, and blanks are nothing."""
    assert settings.read("REPRISE_ARCHIVE_DAYS", {}) == "400"
    assert settings.read("REPRISE_ARCHIVE_DAYS", {"REPRISE_ARCHIVE_DAYS": " "}) == "400"
    assert settings.read("REPRISE_METRICS_NAMESPACE", {}) == "Reprise"


def test_metrics_are_switched_off_by_an_empty_namespace() -> None:
    """Here nothing means nothing."""
    assert settings.read("REPRISE_METRICS_NAMESPACE", {"REPRISE_METRICS_NAMESPACE": ""}) == ""
    assert settings.read("REPRISE_METRICS_NAMESPACE", {"REPRISE_METRICS_NAMESPACE": "Shop/Recovery"}) == "Shop/Recovery"


def test_what_must_be_set_says_what_it_must_hold() -> None:
    """A person reads the variable and its meaning."""
    with pytest.raises(BadInput, match="REPRISE_LEDGER_TABLE is not set: it must hold the name of the DynamoDB ledger"):
        settings.read("REPRISE_LEDGER_TABLE", {"REPRISE_LEDGER_TABLE": ""})
