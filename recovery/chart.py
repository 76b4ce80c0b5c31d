"""Bar charts as pictures that Prefect's markdown shows. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

_WIDEST_LABEL = 300


def chart(bars: Iterable[tuple[str, int]]) -> str:
    """A horizontal bar chart as an SVG data URI, which Prefect's markdown shows."""
    rows = list(bars)
    most = max((value for _, value in rows), default=0) or 1
    colours = ("#2563eb", "#0d9488", "#d97706", "#7c3aed", "#dc2626", "#475569")
    labels = [_fitting(label) for label, _ in rows]
    left = 20 + round(max(map(_pixels, labels), default=0))
    height = 30 * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{height}" viewBox="0 0 640 {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="640" height="{height}" rx="6" fill="#f8fafc"/>',
    ]
    for index, (label, (_, value)) in enumerate(zip(labels, rows, strict=True)):
        top = 10 + 30 * index
        width = max(2, round((560 - left) * value / most)) if value else 0
        parts.append(f'<text x="{left - 10}" y="{top + 15}" text-anchor="end" fill="#0f172a">{escape(label)}</text>')
        parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="20" rx="3" fill="{colours[index % 6]}"/>')
        parts.append(f'<text x="{left + 8 + width}" y="{top + 15}" fill="#0f172a">{value:,}</text>')
    parts.append("</svg>")
    return "data:image/svg+xml;base64," + base64.b64encode("".join(parts).encode()).decode()


def _fitting(label: str) -> str:
    """The label, cut so that the bars keep half of the picture."""
    if _pixels(label) <= _WIDEST_LABEL:
        return label
    while label and _pixels(label) > _WIDEST_LABEL - 13:
        label = label[:-1]
    return label + "…"


def _pixels(label: str) -> float:
    """About as wide as the widest of the usual fonts draws it: no browser is asked."""
    return sum(10.0 if character.isupper() or character in "_mw@%&…" else 8.0 for character in label)
