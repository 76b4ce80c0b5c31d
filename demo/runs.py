"""Running deployments on a Prefect server and looking at what became of them, over its HTTP interface.

Prefect itself is not imported: the demo's own process needs no more than these few requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx

from recovery.errors import Refused, Transient

_BUSY = frozenset({429, 502, 503, 504})
_TRIES = 8
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run.

    Attributes:
        id: its id.
        deployment: as "dead-letters/by-hand".
        name: its name at this moment; a run that did something has its counts there.
        state: "COMPLETED", "FAILED" ..., as Prefect's state types.
        message: the state's message.
        url: its page in the browser.
        by_event: True when an event's automation started it.
    """

    id: str
    deployment: str
    name: str
    state: str
    message: str
    url: str
    by_event: bool = False

    @property
    def completed(self) -> bool:
        """True when it ended well."""
        return self.state == "COMPLETED"

    @property
    def has_ended(self) -> bool:
        """True when it ended, well or not."""
        return self.state in _ENDED


class Runs:
    """Starts and reads flow runs.

    Args:
        api_url: as "http://127.0.0.1:4200/api".
        ui_url: as "http://127.0.0.1:4200".
        pause: waits the given number of seconds before a request is repeated; tests replace it.
        auth: user and password of the server, where it wants one.
    """

    def __init__(
        self,
        api_url: str,
        ui_url: str,
        pause: Callable[[float], None] = time.sleep,
        *,
        auth: tuple[str, str] | None = None,
    ) -> None:
        self._ui = ui_url
        self._deployments: dict[str, str] = {}
        self._pause = pause
        # trust_env off: a proxy of this machine's has no business with a loopback address.
        self._http = httpx.Client(base_url=api_url, timeout=30, trust_env=False, auth=auth)

    def start(self, deployment: str, parameters: Mapping[str, Any]) -> Run:
        """Start a deployment.

        Args:
            deployment: as "dead-letters/by-hand".
            parameters: each takes the place of the deployment's own parameter of that name.

        Raises:
            Refused: there is no such deployment, or the server does not accept the parameters.
            Transient: the server did not answer.
        """
        found = self._ask("GET", f"/deployments/name/{deployment}")
        # With the key, a start that is repeated because its answer was lost gives the same run.
        body = {"parameters": dict(parameters), "idempotency_key": uuid4().hex}
        return self._run(self._ask("POST", f"/deployments/{found['id']}/create_flow_run", body), deployment)

    def ended(self, run: Run) -> Run | None:
        """The run as it ended, or None while it has not."""
        now = self.look(run)
        return now if now.has_ended else None

    def look(self, run: Run) -> Run:
        """The run as it is now."""
        return self._run(self._ask("GET", f"/flow_runs/{run.id}"), run.deployment)

    def configure(self, deployment: str, request: Mapping[str, Any], *, keep_schedules: bool = False) -> None:
        """Give a deployment its request, as a person does who names his queues in the UI, and switch its schedules off:
        nobody waits minutes for a sweep, so the demo starts it.

        Args:
            deployment: as "dead-letters/on-event".
            request: the flow's parameter of this name.
            keep_schedules: True leaves its schedules as they are.

        Raises:
            Refused: there is no such deployment, or the server does not accept the request.
            Transient: the server did not answer.
        """
        found = self._ask("GET", f"/deployments/name/{deployment}")
        parameters = {**found["parameters"], "request": dict(request)}
        self._ask("PATCH", f"/deployments/{found['id']}", {"parameters": parameters})
        for schedule in () if keep_schedules else found.get("schedules", ()):
            self._ask("PATCH", f"/deployments/{found['id']}/schedules/{schedule['id']}", {"active": False})
        self._deployments[found["id"]] = deployment

    def all(self, most: int = 200) -> list[Run]:
        """The latest runs of all deployments that were configured here, the oldest first."""
        wanted = {"deployments": {"id": {"any_": list(self._deployments)}}, "sort": "START_TIME_DESC", "limit": most}
        found = self._ask("POST", "/flow_runs/filter", wanted) if self._deployments else []
        return [self._run(raw, self._deployments[raw["deployment_id"]]) for raw in reversed(found)]

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _run(self, raw: Mapping[str, Any], deployment: str) -> Run:
        state, creator = raw.get("state") or {}, raw.get("created_by") or {}
        run = Run(
            raw["id"],
            deployment,
            raw["name"],
            state.get("type", ""),
            state.get("message") or "",
            "",
            creator.get("type") == "AUTOMATION",
        )
        return replace(run, url=f"{self._ui}/v2/runs/flow-run/{run.id}")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return answer.json() if answer.content else None
                problem = f"HTTP {answer.status_code}: {answer.text[:500]}"
                if answer.status_code not in _BUSY:
                    raise Refused(f"the Prefect server refused {method} {path}: {problem}")
            # SQLite under load answers 503 for a moment.
            self._pause(min(4.0, 0.25 * 2**attempt))
        raise Transient(f"the Prefect server did not answer {method} {path}: {problem}")
