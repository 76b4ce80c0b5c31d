"""The picture of the dashboard is that of the template."""

from __future__ import annotations

from tests.project.dashboard_picture import FILE, picture, series, widgets


def test_the_picture_shows_the_template() -> None:
    """Draw it anew after a change: `python -m tests.project.dashboard_picture`."""
    assert FILE.read_text(encoding="utf-8") == picture()
    assert FILE.stat().st_size < 30_000


def test_every_widget_of_numbers_names_its_series() -> None:
    """A widget without series would be an empty box."""
    drawn = [each for each in widgets() if each["type"] == "metric"]
    assert len(drawn) > 10
    assert [each["properties"]["title"] for each in drawn if not series(each)] == []
