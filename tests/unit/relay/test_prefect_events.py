"""Asking the Prefect server: all of its automations, however many."""

from __future__ import annotations

import json

import httpx

from relay.prefect_events import PrefectEvents


def test_automations_are_read_page_by_page() -> None:
    """On a shared server ours may stand behind many others, and must not seem to be missing."""
    everything = [{"enabled": True, "trigger": {"expect": [f"other.{n}"]}} for n in range(400)]
    everything.append({"enabled": True, "trigger": {"triggers": [{"expect": ["reprise.dms.task.failed"]}]}})
    everything.append({"enabled": False, "trigger": {"expect": ["reprise.off"]}})

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        begin = asked.get("offset", 0)
        return httpx.Response(200, json=everything[begin : begin + asked["limit"]])

    client = httpx.Client(base_url="http://prefect/api", transport=httpx.MockTransport(answer))
    names = PrefectEvents("", client=client).awaited()
    assert {"other.0", "other.399", "reprise.dms.task.failed"} <= names
    assert "reprise.off" not in names
