"""Posting events to the Prefect server over HTTP, and asking what it made of them.

`POST /events` answers after the event was handed to the server's broker, so only what was answered is let go of. The
websocket acknowledges nothing, and the SDK's own `emit_event` swallows errors: neither may carry what must not be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from deployments.prefect_http import prefect_client, untrusted
from relay.bursts import OutgoingEvent
from relay.unacknowledged import Outcome

TRIGGER = "reprise.trigger"
"""Label on the resource of an event that deployments trigger on."""
BATCH = 100
_PAGE = 200
_ACCEPTED = 204
_REJECTED = frozenset({400, 413, 422})
"""The server read the events and will not have them: repeating them is no use."""
_BUSY = frozenset({408, 425, 429})
_EXECUTED = "prefect.automation.action.executed"
_FAILED = "prefect.automation.action.failed"
_TRIGGERING = "prefect.event."
_RUN = "prefect.flow-run."
_BEHIND = "Deployment concurrency limit reached"


class ServerAway(Exception):
    """The server did not accept events; nothing was let go of, and posting them again is safe."""


class Misconfigured(ServerAway):
    """No Prefect server that lets us in has answered: a person must change a setting. Nothing was let go of."""


class Rejected(Exception):
    """The server refuses at least one of the events, and always will."""


class PrefectEvents:
    """Posts events.

    Args:
        api_url: the server's /api address.
        auth: "user:password" of a server with basic authentication; Prefect's own settings when "".
        client: an HTTP client, for tests.
    """

    def __init__(self, api_url: str, auth: str = "", client: httpx.Client | None = None) -> None:
        self._client = client or prefect_client(api_url, timeout=httpx.Timeout(20, connect=5), auth=auth or None)

    def post(self, outgoing: Sequence[OutgoingEvent]) -> None:
        """Post events, at most 100.

        Raises:
            ServerAway: the server is down, slow, or answered with an error (SQLite answers 503 under bursts).
            Misconfigured: the credentials or the address are wrong.
            Rejected: an event is one that the server never accepts. None of them was accepted.
        """
        self._ask("/events", [_event(outgoing) for outgoing in outgoing], _ACCEPTED)

    def acted_on(self, ids: Collection[UUID]) -> dict[UUID, Outcome]:
        """Return the server's reactions to these events; an event without one (yet) is absent.

        Raises:
            ServerAway: it could not be asked.
        """
        if not ids:
            return {}
        wanted = {f"{_TRIGGERING}{identity}": identity for identity in ids}
        asked = {"event": {"name": [_EXECUTED, _FAILED]}, "related": {"id": list(wanted)}}
        found: dict[UUID, Outcome] = {}
        runs: dict[str, UUID] = {}
        for event in self._ask("/events/filter", {"filter": asked, "limit": 50}, 200).get("events", []):
            related = [resource.get("prefect.resource.id", "") for resource in event.get("related", [])]
            for identity in (wanted[name] for name in related if name in wanted):
                executed = event.get("event") == _EXECUTED
                found[identity] = Outcome.MADE if executed or found.get(identity) is Outcome.MADE else Outcome.FAILED
                runs |= {name.removeprefix(_RUN): identity for name in related if name.startswith(_RUN)}
        for run, outcome in self._waiting(list(runs)).items():
            # Two runs of one trigger: the one that did not start counts.
            found[runs[run]] = max(outcome, found[runs[run]])
        return found

    def _waiting(self, runs: list[str]) -> dict[str, Outcome]:
        """Of these runs, those that have not started, or were cancelled behind another one."""
        if not runs:
            return {}
        waiting: dict[str, Outcome] = {}
        for run in self._ask("/flow_runs/filter", {"flow_runs": {"id": {"any_": runs}}}, 200):
            state = run.get("state") or {}
            if state.get("type") == "SCHEDULED":
                waiting[run["id"]] = Outcome.WAITS
            elif state.get("type") == "CANCELLED" and str(state.get("message") or "").startswith(_BEHIND):
                waiting[run["id"]] = Outcome.BEHIND
        return waiting

    def awaited(self) -> set[str]:
        """Names of events that an enabled automation of the server waits for.

        Raises:
            ServerAway: it could not be asked.
        """
        names: set[str] = set()
        for page in count():
            found = self._ask("/automations/filter", {"limit": _PAGE, "offset": page * _PAGE}, 200)
            for automation in found:
                if automation.get("enabled"):
                    names.update(_expected(automation.get("trigger", {})))
            if len(found) < _PAGE:
                break
        return names

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _ask(self, path: str, body: Any, good: int) -> Any:
        try:
            answer = self._client.post(path, json=body)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Misconfigured(f"PREFECT_API_URL: {error}") from error
        except httpx.HTTPError as error:
            if advice := untrusted(error):
                raise Misconfigured(advice) from error
            raise ServerAway(f"{type(error).__name__} from the Prefect server") from error
        status = answer.status_code
        if status == good:
            return answer.json() if good != _ACCEPTED else None
        if status in _REJECTED:
            raise Rejected(f"the Prefect server rejected the event: {status}")
        if status in (401, 403):
            raise Misconfigured(
                f"the Prefect server answered {status}: set PREFECT_API_AUTH_STRING to its user:password"
            )
        if status < 500 and status not in _BUSY:
            raise Misconfigured(
                f"POST {path} was answered with {status}, not as a Prefect server does: PREFECT_API_URL must be its"
                " /api address, as http://127.0.0.1:4200/api"
            )
        raise ServerAway(f"the Prefect server answered {status}")


def _event(outgoing: OutgoingEvent) -> dict[str, Any]:
    event = outgoing.hint.as_event()
    event["resource"][TRIGGER] = "yes" if outgoing.triggers else "no"
    return event


def _expected(trigger: dict[str, Any]) -> set[str]:
    names = set(trigger.get("expect") or ())
    for child in trigger.get("triggers") or ():
        names |= _expected(child)
    return names
