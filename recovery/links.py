"""Links to where a person acts: the filled form of a deployment, a run, and the commands beside them. Pure.

A form opens in the Prefect UI at `deployments/deployment/<id>/run?parameters=<JSON>`, filled with those parameters
(seen in both of its interfaces, Prefect 3.8). It starts nothing: the person reads what will happen, and submits it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from shlex import quote as shell_word
from typing import Any
from urllib.parse import quote

from recovery.markdown import code
from recovery.paths import Path
from recovery.report import GroupRow


@dataclass(frozen=True, slots=True)
class Form:
    """A deployment's form, and the values that it opens with.

    Attributes:
        label: its link's text, in a few words.
        deployment: its full name, as "dead-letters-replay/replay".
        request: values of its request; what is missing keeps the deployment's own value.
    """

    label: str
    deployment: str
    request: Mapping[str, Any]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the run."""
        return {"request": dict(self.request)}

    @property
    def command(self) -> str:
        """The command that starts the same run from a shell."""
        return f"prefect deployment run {self.deployment} --params {shell_word(_json(self.parameters))}"


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses in one Prefect UI.

    Attributes:
        ui: its address, without a slash at the end; "" where none is set, and then there are commands only.
        deployments: ids of the deployments, by their full names.
        run_id: id of this flow run; "" outside one.
        own: fields of this run's request that differ from their defaults.
    """

    ui: str = ""
    deployments: Mapping[str, str] = field(default_factory=dict)
    run_id: str = ""
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The address of this run's page; "" where there is none."""
        return f"{self.ui}/v2/runs/flow-run/{self.run_id}" if self.ui and self.run_id else ""

    def form(self, form: Form) -> str:
        """Return the address of a filled form; "" where there is no UI, or no such deployment."""
        known = self.deployments.get(form.deployment)
        if not self.ui or known is None:
            return ""
        filled = quote(_json(form.parameters), safe="")
        return f"{self.ui}/v2/deployments/deployment/{known}/run?parameters={filled}"

    def runbook(self, path: str, source: str, kind: str, group: str) -> str:
        """Return the user's own instructions for a failure, by the policy of its source before that of the run; ""."""
        # A queue's policy may be named by URL or ARN, whose last part is the name. The nearest match comes first, in
        # whatever order a database gave the policies back.
        matching = [
            (name == source, len(name), policy)
            for policies in ("queue_policies", "flow_policies")
            for pattern, policy in self.own.get(policies, {}).items()
            for name in [re.split("[:/]", pattern)[-1]]
            if fnmatchcase(source, name)
        ]
        matching.sort(key=lambda one: one[:2], reverse=True)
        tables = [policy.get("runbooks", {}) for _, _, policy in matching]
        tables.append(self.own.get("policy", {}).get("runbooks", {}))
        return next(filter(None, (_runbook(table, (group, source, kind, path)) for table in tables)), "")

    def markdown(self, forms: Sequence[Form]) -> list[str]:
        """Return links to forms; where there are none, the command of the first."""
        linked = [f"[{form.label}]({address})" for form in forms if (address := self.form(form))]
        return linked or [f"{form.label}: {code(form.command)}" for form in forms[:1]]


def _runbook(table: Mapping[str, str], names: Sequence[str]) -> str:
    group, source, kind, path = names
    for key, address in table.items():
        if group and key == group:
            return address
    globs = [key for key in table if key != "*" and fnmatchcase(source, key)]
    if globs:
        return table[max(globs, key=lambda glob: (glob == source, len(glob)))]
    return table.get(kind) or table.get(path) or table.get("*") or ""


NO_LINKS = Links()
HISTORY = "its history"


def forms(path: str, row: GroupRow, own: Mapping[str, Any]) -> Sequence[Form]:
    """Return the forms with which a person acts on a group of a report, the most likely first.

    Args:
        path: of the report.
        row: the group; one without a next step needs nobody.
        own: fields of the run's own request that differ from their defaults.
    """
    make = _FORMS.get(path)
    if make is None or not row.next_step:
        return ()
    where = {name: own[name] for name in ("estate",) if name in own}
    return [replace(form, request={**form.request, **where}) for form in make(row, own)]


def group_forms(path: str, sources: Sequence[str], group: str, own: Mapping[str, Any]) -> Sequence[Form]:
    """Return the forms with which a person acts on what an alert speaks of.

    Args:
        path: the recovery path.
        sources: names of its queues.
        group: of failures; "" for several.
        own: parameters of the run that people carry over.
    """
    where = {name: own[name] for name in ("estate",) if name in own}
    waiting = Form("list what waits on this path", "cases/list", {"paths": [path], **where})
    if path != Path.DEAD_LETTERS:
        return (waiting,)
    return [replace(form, request={**form.request, **where}) for form in _of_messages(sources, group)]


def history(path: str, key: str) -> Form:
    """Return the form that shows what happened to an item."""
    return Form(HISTORY, "cases/describe", {"key": key, "path": path})


def _dead_letters(row: GroupRow, _own: Mapping[str, Any]) -> Sequence[Form]:
    if row.action not in {"alert", "archive"} or not row.group:
        return ()
    return _of_messages([row.source], row.group)


def _of_messages(queues: Sequence[str], group: str) -> Sequence[Form]:
    one = {"groups": [group]} if group else {}
    plan = "plan its return, once its cause is fixed" if group else "plan their return, once their causes are fixed"
    dismissed = {"paths": [Path.DEAD_LETTERS.value], "sources": list(queues), **one, "how": "dismiss", "dry_run": True}
    return (
        Form(plan, "dead-letters/plan", {"queues": list(queues), **one}),
        Form("dismiss it" if group else "dismiss them", "cases/close", dismissed),
    )


def _replication_tasks(row: GroupRow, _own: Mapping[str, Any]) -> Sequence[Form]:
    request = {"tasks": list(row.samples), "cause_fixed": True, "dry_run": True}
    return (Form("decide again, now that the cause is fixed", "replication-tasks/by-hand", request),)


def _appflow_runs(row: GroupRow, _own: Mapping[str, Any]) -> Sequence[Form]:
    request = {"flows": list(row.samples), "cause_fixed": True, "dry_run": True}
    return (Form("run again, now that the cause is fixed", "appflow-runs/by-hand", request),)


def _outbox_records(row: GroupRow, own: Mapping[str, Any]) -> Sequence[Form]:
    if row.action != "exhaust":
        return ()
    # The table's topic and the names of its attributes stand in the run's own request only.
    request = {name: value for name, value in own.items() if name not in _BOUNDS}
    request |= {"table": row.source, "mode": "revive", "rows": list(row.samples), "dry_run": True}
    return (Form("publish these rows, once their cause is fixed", "outbox-records/by-hand", request),)


_BOUNDS = frozenset({"limit", "time_limit_seconds", "dry_run"})
_FORMS: Mapping[str, Callable[[GroupRow, Mapping[str, Any]], Sequence[Form]]] = {
    Path.DEAD_LETTERS: _dead_letters,
    Path.OUTBOX_RECORDS: _outbox_records,
    Path.REPLICATION_TASKS: _replication_tasks,
    Path.APPFLOW_RUNS: _appflow_runs,
}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
