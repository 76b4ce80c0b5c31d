"""Plans in the ledger: one record for each, and one for each destination that a plan holds.

Records: pk `plans#dead_letters` sk the plan's id; pk `plan-of#dead_letters` sk the destination's URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from recovery.dead_letters.plans.plan import HOLDS, Plan, PlanState
from recovery.errors import BadInput, Conflict
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.records import DamagedRecord, Record

KEEP = timedelta(days=430)
LEASE = timedelta(minutes=10)
"""For which a run that carries a plan on keeps others away; each part of its sends extends it."""
_FREE = frozenset(PlanState) - HOLDS
_PLANS = "plans#dead_letters"
_DESTINATIONS = "plan-of#dead_letters"


class PlanBook:
    """Reads and writes plans.

    Args:
        ledger: of the estate.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, plan_id: str) -> Plan:
        """Return a plan.

        Raises:
            BadInput: there is none of this id.
            DamagedRecord: it cannot be read.
        """
        record = self._ledger.read_record(_PLANS, plan_id.strip())
        if not record.version:
            raise BadInput(f"plan_id: there is no plan {plan_id!r}: dead-letters/plan makes one")
        return _plan(record)

    def all(self, damaged: list[DamagedRecord]) -> list[Plan]:
        """Return all plans; `damaged` takes those that cannot be read."""
        found = []
        for record in self._ledger.query(_PLANS, damaged=damaged):
            try:
                found.append(_plan(record))
            except DamagedRecord as error:
                damaged.append(error)
        return found

    def write(self, plan: Plan, now: datetime) -> Plan:
        """Write a plan in place of the one that was read; return it with its new version.

        Raises:
            Conflict: another run or person wrote since.
        """
        record = Record(_PLANS, plan.id, _as_json(plan), plan.version)
        return replace(plan, version=self._ledger.write_record(record, now + KEEP).version)

    def take(self, plan: Plan, owner: str, now: datetime) -> Plan:
        """Become the one run that carries the plan on, for the time of a lease.

        Raises:
            Conflict: another run does.
        """
        if plan.owner and plan.owner != owner and plan.lease is not None and plan.lease > now:
            raise Conflict(f"plan {plan.id}: another run carries it on right now")
        return self.write(replace(plan, owner=owner, lease=now + LEASE), now)

    def keep(self, plan: Plan, owner: str, now: datetime) -> Plan:
        """Write what a run has sent, also where a person paused or cancelled the plan meanwhile: that state stays.

        Raises:
            Conflict: another run carries it on.
        """
        try:
            return self.take(plan, owner, now)
        except Conflict:
            latest = self.read(plan.id)
            if latest.owner != owner:
                raise
            state, why = latest.state, latest.why
            return self.take(replace(plan, state=state, why=why, version=latest.version), owner, now)

    def release(self, plan: Plan, now: datetime) -> Plan:
        """Let other runs carry the plan on."""
        return self.write(replace(plan, owner="", lease=None), now)

    def hold(self, plan: Plan, now: datetime) -> None:
        """Keep other plans from the destinations of this one.

        Raises:
            Conflict: another plan holds one of them; names it.
        """
        for url in sorted(plan.destinations):
            record = self._ledger.read_record(_DESTINATIONS, url)
            other = str(record.data.get("plan", ""))
            if other == plan.id:
                continue
            if other and self._holds(other):
                raise Conflict(f"queue {url.rsplit('/', 1)[1]}: plan {other} is under way there; one at a time")
            try:
                held = Record(_DESTINATIONS, url, {"plan": plan.id}, record.version)
                self._ledger.write_record(held, now + KEEP)
            except Conflict:
                raise Conflict(f"queue {url.rsplit('/', 1)[1]}: another plan has just begun there") from None

    def _holds(self, plan_id: str) -> bool:
        record = self._ledger.read_record(_PLANS, plan_id)
        # A plan that is damaged may be under way: it holds until a person has put it right.
        return bool(record.version) and record.data.get("state") not in _FREE


def _plan(record: Record) -> Plan:
    try:
        return _from_json(record.sk, record.data, record.version)
    except (KeyError, TypeError, ValueError):
        raise DamagedRecord(record.pk, record.sk) from None


def _as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as its record holds it."""
    raw = asdict(plan)
    for name in ("id", "version"):
        del raw[name]
    for name in ("made", "expires", "lease"):
        raw[name] = raw[name].isoformat() if raw[name] else None
    return raw | {"state": plan.state.value, "left_out": dict(plan.left_out)}


def _from_json(plan_id: str, raw: Mapping[str, Any], version: int) -> Plan:
    """Read the result of `_as_json`.

    Raises:
        ValueError: it is damaged; names the field.
    """
    read = Fields(raw, "digest", "object", "count", "state", "made", "expires", "steps", "destinations")
    made, expires = read.time("made"), read.time("expires")
    steps = read.many("steps")
    left_out = read.mapping("left_out")
    if made is None or expires is None:
        raise ValueError("made" if made is None else "expires")
    if not all(isinstance(one, int) and one > 0 for one in steps):
        raise ValueError("steps")
    if not all(isinstance(one, int) for one in left_out.values()):
        raise ValueError("left_out")
    if raw["state"] not in set(PlanState):
        raise ValueError("state")
    texts = ("digest", "object", "operator", "reason", "destination", "why", "carried_by", "owner", "identity")
    counts = ("count", "settle_seconds", "cursor", "first", "step", "sent")
    return Plan(
        id=plan_id,
        made=made,
        expires=expires,
        steps=tuple(steps),
        share=read.number("share", 1.0),
        max_per_second=read.number("max_per_second", 1.0),
        destinations=read.texts("destinations"),
        another_person=read.flag("another_person"),
        state=PlanState(raw["state"]),
        left_out=left_out,
        lease=read.time("lease"),
        version=version,
        **{name: read.text(name) for name in texts},  # type: ignore[arg-type]
        **{name: read.count(name) for name in counts},  # type: ignore[arg-type]
    )
