"""The template's dashboard as a picture: `python -m tests.project.dashboard_picture` draws docs/images/dashboard.svg.

CloudWatch draws the numbers; the picture has each widget in its place, with title and series, from the template alone.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from simulated_aws import estate
from tests.project.checkout import PROJECT

FILE = PROJECT / "docs" / "images" / "dashboard.svg"
_UNIT, _GAP = 40, 4
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2")


def widgets() -> list[dict[str, Any]]:
    """Return the widgets of the dashboard, with the parameters' own defaults."""
    template = estate.load(estate.OBSERVABILITY)
    [dashboard] = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Dashboard"]
    body, _ = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    defaults = {name: str(each.get("Default", "")) for name, each in template["Parameters"].items()}
    text = re.sub(r"\$\{([\w:]+)\}", lambda found: defaults.get(found[1], ""), body)
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def series(widget: dict[str, Any]) -> list[str]:
    """Return the labels of a widget's series."""
    names = []
    for metric in widget["properties"].get("metrics", []):
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        if options.get("visible") is False:
            continue
        names.append(options.get("label") or (metric[1] if len(metric) > 1 else "one for each that is found"))
    return names


def picture() -> str:
    """Return the picture as SVG."""
    placed = widgets()
    height = max(each["y"] + each["height"] for each in placed) * _UNIT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * _UNIT} {height}" font-family="sans-serif">',
        f'<rect width="{24 * _UNIT}" height="{height}" fill="#f2f3f3"/>',
    ]
    for each in placed:
        left, top = each["x"] * _UNIT + _GAP, each["y"] * _UNIT + _GAP
        wide, high = each["width"] * _UNIT - 2 * _GAP, each["height"] * _UNIT - 2 * _GAP
        title, *rest = str(each["properties"].get("title") or each["properties"]["markdown"]).lstrip("# ").split("\n")
        lines.append(f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" fill="#fff" stroke="#d5dbdb"/>')
        lines.append(f'<text x="{left + 10}" y="{top + 22}" font-size="13" font-weight="bold">{escape(title)}</text>')
        lines += [f'<text x="{left + 10}" y="{top + 44}" font-size="12">{escape(line)}</text>' for line in rest]
        if each["type"] == "metric":
            base = top + high - 26 - 16 * len(series(each))
            lines.append(f'<path d="M{left + 20} {top + 34}V{base}H{left + wide - 12}" fill="none" stroke="#aab7b8"/>')
        for n, name in enumerate(series(each)):
            y = top + high - 10 - 16 * (len(series(each)) - 1 - n)
            colour = _COLOURS[n % len(_COLOURS)]
            lines.append(f'<rect x="{left + 20}" y="{y - 8}" width="10" height="10" fill="{colour}"/>')
            lines.append(f'<text x="{left + 36}" y="{y + 1}" font-size="11">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8")
