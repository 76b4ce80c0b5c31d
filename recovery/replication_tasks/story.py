"""The story of a DMS task or serverless replication."""

from __future__ import annotations

from recovery.cases import Case
from recovery.replication_tasks.memory import Memory
from recovery.story import Moment, Story, end_of, story_of


def check(case: Case) -> None:
    """Refuse a case that is not as this path writes it.

    Raises:
        ValueError: names the field and no value.
    """
    Memory.from_json(case.detail)


def name_of(case: Case) -> str:
    """Return the name that people know it by."""
    return str(case.detail.get("name") or case.key)


def story(key: str, case: Case) -> Story:
    """Return the story of a replication by its case."""
    memory = Memory.from_json(case.detail)
    moments = [Moment(at=memory.failed, what="it failed")] if memory.failed else []
    if memory.incident:
        event = "no event had reported it" if memory.missed else "Reprise noticed"
        moments.append(Moment(at=memory.incident, what=event))
    moments += [
        Moment(at=restart.at, what=f"{restart.verb.value}: {restart.outcome or 'not triaged yet'}")
        for restart in memory.restarts
    ]
    if memory.notified:
        moments.append(Moment(at=None, what="people were notified"))
    moments.append(end_of(case, memory.seconds_to_recover))
    return story_of(key, case, moments, ids=tuple(dict.fromkeys([name_of(case), case.key])))
