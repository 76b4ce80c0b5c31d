"""The automations that no deployment owns: people are notified when something goes wrong, and dead runs are ended.

Each notifies through `operations/notify`, which a worker runs, and through the saved notification blocks, to which the
server itself speaks: these reach people when no worker is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore

from deployments.apply.differences import Change, changed

PREFIX = "Reprise: "
"""Begins the name of each, so that an alert is never about one of these: that would go on forever."""

_PAGE = 200
QUIET_SECONDS = 600
"""Within which a second failure of the same deployment starts no second run of `operations/notify`."""
SWEEP_SECONDS = 1800
HEARTBEAT_SECONDS = 180
"""Prefect's own default, `PREFECT_FLOWS_HEARTBEAT_FREQUENCY`. Three missed ones are a dead process."""
ENDED = ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut")

_DEPLOYMENT = "related:deployment:prefect.resource.id"
_RUN = "{{ flow.name }}/{{ deployment.name | default('by hand') }}"
_AUTOMATION = "{{ event.resource['prefect.resource.name'] | default('without a name') }}"
_LINK = "{{ flow_run | ui_url or flow_run.id }}"


def wanted(flows: Iterable[str], notify: UUID | str, channels: Sequence[UUID]) -> list[AutomationCore]:
    """All of them.

    Args:
        flows: names of the flows that recover; those of `operations` must not be among them.
        notify: id of the deployment `operations/notify`.
        channels: ids of the notification blocks that are used besides.
    """

    def notified(group: str, source: str, subject: str, text: str) -> list[dict[str, Any]]:
        request = {"subject": subject, "text": text, "source": source, "group": group, "dry_run": False}
        return [
            {
                "type": "run-deployment",
                "source": "selected",
                "deployment_id": str(notify),
                "parameters": {"request": request},
            },
            *(
                {
                    "type": "send-notification",
                    "block_document_id": str(block),
                    "subject": f"{PREFIX}{subject}",
                    "body": text,
                }
                for block in channels
            ),
        ]

    ours = {"prefect.resource.role": "flow", "prefect.resource.name": sorted(flows)}
    sweeps = {"prefect.resource.role": "tag", "prefect.resource.id": ["prefect.tag.retry", "prefect.tag.sweep"]}
    finished = ["prefect.flow-run.Completed", *ENDED]
    described = [
        {
            "name": f"{PREFIX}a run failed",
            "description": "Notifies people, once in ten minutes for each deployment.",
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": list(ENDED),
                "match": {"prefect.resource.id": "prefect.flow-run.*"},
                "match_related": ours,
                "for_each": [_DEPLOYMENT],
                "threshold": 1,
                "within": QUIET_SECONDS,
            },
            "actions": notified(
                "run-failed",
                _RUN,
                f"{_RUN} {{{{ flow_run.state.name }}}}",
                f"The run {{{{ flow_run.name }}}} of {_RUN} ended as {{{{ flow_run.state.name }}}}. What it could not "
                f"do is where it was, and the next run takes it up; its page says why: {_LINK}",
            ),
        },
        {
            "name": f"{PREFIX}an automation could not act",
            "description": "A trigger fired and no run was made of it: the next sweep does the work.",
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": ["prefect.automation.action.failed"],
                "match": {"prefect.resource.id": "prefect.automation.*", "prefect.resource.name": f"!{PREFIX}*"},
                "for_each": ["prefect.resource.id"],
                "threshold": 1,
                "within": QUIET_SECONDS,
            },
            "actions": notified(
                "action-failed",
                f"automation {_AUTOMATION}",  # never a lone expression: Prefect would take its value for JSON
                f"the automation {_AUTOMATION} could not act",
                "An event came, and Prefect could not start a run for it: "
                "{{ event.payload.reason | default('it does not say why') }}. The sweeps find the work without the "
                "event. Run reprise apply --check.",
            ),
        },
        {
            "name": f"{PREFIX}no sweep has finished for 30 minutes",
            "description": "A sweep has ended no run for half an hour: its worker is gone, it is paused, or it hangs.",
            "trigger": {
                "type": "event",
                "posture": "Proactive",
                "after": finished,
                "expect": finished,
                "match": {"prefect.resource.id": "prefect.flow-run.*"},
                "match_related": sweeps,
                "for_each": [_DEPLOYMENT],
                "threshold": 1,
                "within": SWEEP_SECONDS,
            },
            "actions": notified(
                "no-sweep",
                _RUN,
                "no sweep has finished for 30 minutes",
                "A deployment that runs every few minutes has ended no run for half an hour. Is a worker connected to "
                "the pool reprise, and is the deployment switched on? Its last run was of "
                f"{_RUN}. Nothing is lost: what failed in AWS is taken up when it runs again.",
            ),
        },
        {
            "name": f"{PREFIX}end runs without a process",
            "description": "A run that sent heartbeats and then nothing for nine minutes has lost its process.",
            "trigger": {
                "type": "event",
                "posture": "Proactive",
                "after": ["prefect.flow-run.heartbeat"],
                "expect": ["prefect.flow-run.*"],
                "match": {"prefect.resource.id": "prefect.flow-run.*"},
                "match_related": ours,
                "for_each": ["prefect.resource.id"],
                "threshold": 1,
                "within": 3 * HEARTBEAT_SECONDS,
            },
            "actions": [
                {
                    "type": "change-flow-run-state",
                    "state": "CRASHED",
                    "message": "No heartbeat for nine minutes: its process is gone. The next run takes up its work.",
                }
            ],
        },
    ]
    return [AutomationCore.model_validate(each) for each in described]


def changes(client: SyncPrefectClient, should: Iterable[AutomationCore]) -> list[Change]:
    """Automations that are missing, or not as they should be. Their switches are a person's."""
    found = []
    for automation in should:
        there = of_the_name(client, automation.name)
        found += changed("automation", automation.name, comparable(automation), comparable(there[0]) if there else None)
    return found


def make(client: SyncPrefectClient, should: Iterable[AutomationCore]) -> None:
    """Bring them up to date. One that a person has switched off stays switched off."""
    for automation in should:
        bring(client, automation, of_the_name(client, automation.name))


def bring(client: SyncPrefectClient, automation: AutomationCore, there: Sequence[Automation]) -> None:
    """Create one automation, or bring it up to date and leave its switch alone.

    Args:
        client: speaks to the server.
        automation: as it should be.
        there: those of its name on the server, the oldest first.
    """
    if there:
        if comparable(there[0]) != comparable(automation):
            # The owner of a trigger is written once, when it is made: an update that names it is refused.
            fields = {**automation.model_dump(exclude={"owner_resource"}), "enabled": there[0].enabled}
            client.update_automation(there[0].id, AutomationCore.model_validate(fields))
        return
    made = client.create_automation(automation)
    # Another apply may have done the same meanwhile. Both see both now or later, and the older one stays.
    same = [each for each in of_the_name(client, automation.name) if comparable(each) == comparable(automation)]
    if same and same[0].id != made:
        client.delete_automation(made)


def surplus(client: SyncPrefectClient, should: Iterable[AutomationCore]) -> list[str]:
    """Automations of ours that are there twice, or that this version does not know, with the command for each."""
    names = {automation.name for automation in should}
    found = []
    for automation in _all(client):
        if not automation.name.startswith(PREFIX):
            continue
        if automation.name in names:
            names.remove(automation.name)
        else:
            found.append(
                f"automation {automation.name!r}: one too many (there twice, or of an older version), so people are "
                f"reported twice. Remove it: prefect automation delete --id {automation.id}"
            )
    return found


def of_the_name(client: SyncPrefectClient, name: str) -> list[Automation]:
    """All automations of one name, the oldest first."""
    return [each for each in _all(client, {"name": {"any_": [name]}}) if each.name == name]


def _all(client: SyncPrefectClient, only: Mapping[str, Any] | None = None) -> list[Automation]:
    """Automations of the server, page by page, the oldest first."""
    raw: list[dict[str, Any]] = []
    for start in count(0, _PAGE):
        body = {"automations": only, "sort": "CREATED_DESC", "limit": _PAGE, "offset": start}
        page = client.request("POST", "/automations/filter", json=body).json()
        raw += page
        if len(page) < _PAGE:
            break
    raw.sort(key=lambda each: (each["created"], each["id"]))
    return [Automation.model_validate(each) for each in raw]


def comparable(automation: AutomationCore) -> dict[str, Any]:
    """Return one automation in a form that can be compared: sets in order, and without Prefect's additions."""
    raw = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    trigger = _plain(raw["trigger"])
    return {"description": raw["description"], "trigger": trigger, "actions": raw["actions"]}


def _plain(trigger: Mapping[str, Any]) -> dict[str, Any]:
    plain = {}
    for key, value in trigger.items():
        if key == "id":
            continue
        if key in ("after", "expect", "for_each"):
            value = sorted(value)
        elif key == "triggers":
            value = [_plain(child) for child in value]
        plain[key] = value
    return plain
