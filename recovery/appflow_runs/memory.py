"""The ledger's memory of a flow, brought up to date with what AWS says, and its JSON form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from recovery.appflow_runs.coverage import Coverage, Window
from recovery.appflow_runs.models import Attempt, FlowFacts, History, Means, Refusal, Run, RunStatus
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.failures.models import Diagnosis, Kind, is_kind
from recovery.fields import Fields, moment


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is kept for one flow, in the detail of its case.

    Attributes:
        history: attempts and the incident under way.
        coverage: of an incremental scheduled flow.
        notified: alert groups that people were notified of in this incident.
        noticed: id of the latest failed run that was ever noticed.
        missed: no event had announced it: a sweep found it.
        summary: status and time of the newest run in the list of flows, when its records were last read.
        read_at: when they were.
        seconds_to_recover: of the last incident; None before the first recovery.
    """

    history: History = field(default_factory=History)
    coverage: Coverage = field(default_factory=Coverage)
    notified: tuple[str, ...] = ()
    noticed: str = ""
    missed: bool = False
    summary: str = ""
    read_at: datetime | None = None
    seconds_to_recover: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For the detail of a case: plain JSON values, times in milliseconds since 1970."""
        asked = self.coverage.asked
        return {
            "attempts": [_attempt_json(attempt) for attempt in self.history.attempts],
            "began": _stamp(self.history.began),
            "recovered": _stamp(self.history.recovered),
            "asked": [_stamp(asked.start), _stamp(asked.end)] if asked else None,
            "covered": [[_stamp(window.start), _stamp(window.end)] for window in self.coverage.covered],
            "notified": list(self.notified),
            "noticed": self.noticed,
            "missed": self.missed,
            "summary": self.summary,
            "read": _stamp(self.read_at),
            "seconds": self.seconds_to_recover,
            "refusal": _refusal_json(self.history.refusal),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Memory:
        """Read the result of `as_json`; an empty mapping is a flow that was never seen.

        Raises:
            ValueError: it is neither; names the field and no value.
        """
        read = Fields(raw)
        return cls(
            history=History(
                attempts=tuple(_attempt(item) for item in read.many("attempts")),
                began=read.stamp("began"),
                recovered=read.stamp("recovered"),
                refusal=_refusal(raw.get("refusal")),
            ),
            coverage=Coverage(
                None if raw.get("asked") is None else _window(raw["asked"], "asked"),
                tuple(_window(one, "covered") for one in read.many("covered")),
            ),
            notified=read.texts("notified"),
            noticed=read.text("noticed"),
            missed=read.flag("missed"),
            summary=read.text("summary"),
            read_at=read.stamp("read"),
            seconds_to_recover=None if raw.get("seconds") is None else read.number("seconds"),
        )


def up_to_date(history: History, facts: FlowFacts, policy: AppFlowPolicy) -> tuple[History, float | None]:
    """The history after what AWS shows, and the seconds to recover if an incident ended since it was kept.

    An incident begins with the first failure after a success (of the flow, or of a twin) and ends with the next
    success. A failure within the settle time after one goes on with the attempts of the incident before: what works and
    comes back uses the same attempts.
    """
    history = _with_twin(history, facts)
    if history.refusal is not None and not (facts.runs and facts.runs[0].id == history.refusal.failed_run):
        history = replace(history, refusal=None)
    solved = _solved(history, facts, policy)
    failures = [run for run in facts.runs if _is_failure(run, policy) and (solved is None or run.updated > solved)]
    going_on = history.began is not None and (solved is None or solved < history.began)
    seconds = None
    if history.began is not None and not going_on and solved is not None:
        seconds = max(0.0, (solved - history.began).total_seconds())
    if going_on:
        return history, None
    if not failures:
        return replace(history, began=None, recovered=solved or history.recovered), seconds
    first = min(failures, key=lambda run: run.updated)
    before = solved or history.recovered
    soon = before is not None and first.updated - before < policy.settle
    return History(history.attempts if soon else (), first.updated, None, history.refusal), seconds


def _with_twin(history: History, facts: FlowFacts) -> History:
    """The last attempt with the outcome of its twin's run, once that has ended."""
    last = history.last
    if last is None or last.means is not Means.TWIN or last.outcome or not facts.twin_runs:
        return history
    run = facts.twin_runs[0]
    if any(one.is_under_way for one in facts.twin_runs):
        return history
    failed = run.status is RunStatus.ERROR
    ended = replace(
        last,
        run=run.id,
        outcome=run.status.value,
        ended=run.updated,
        records=run.records,
        error=facts.error if failed else "",
        diagnosis=facts.diagnosis if failed else None,
    )
    return replace(history, attempts=(*history.attempts[:-1], ended))


def _solved(history: History, facts: FlowFacts, policy: AppFlowPolicy) -> datetime | None:
    """End of the latest success, by the flow itself or by a twin.

    A twin that was at work while the flow failed once more has not pulled what that later run was to pull.
    """
    failed = [run.updated for run in facts.runs if _is_failure(run, policy)]
    times = [run.updated for run in facts.runs if run.status is RunStatus.SUCCESSFUL and not _is_failure(run, policy)]
    times += [
        attempt.ended
        for attempt in history.attempts
        if attempt.outcome == RunStatus.SUCCESSFUL
        and attempt.ended
        and not any(attempt.claimed < moment <= attempt.ended for moment in failed)
    ]
    return max(times, default=None)


def _is_failure(run: Run, policy: AppFlowPolicy) -> bool:
    if run.status is RunStatus.SUCCESSFUL:
        return policy.rerun_partial and bool(run.failed_records)
    return run.status is RunStatus.ERROR


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "n": attempt.number,
        "means": attempt.means.value,
        "failed": attempt.failed_run,
        "claimed": _stamp(attempt.claimed),
        "lease": _stamp(attempt.lease_ends),
        "run": attempt.run,
        "outcome": attempt.outcome,
        "ended": _stamp(attempt.ended),
        "records": attempt.records,
        "error": attempt.error,
        "diagnosis": _diagnosis_json(attempt.diagnosis),
    }


def _attempt(raw: Any) -> Attempt:
    read = Fields(
        raw, "n", "means", "failed", "claimed", "lease", "run", "outcome", "ended", "records", "error", "diagnosis"
    )
    means, claimed, lease_ends = read.text("means"), read.stamp("claimed"), read.stamp("lease")
    if means not in _MEANS or claimed is None or lease_ends is None:
        raise ValueError("attempts: means, claimed or lease")
    return Attempt(
        number=read.count("n"),
        means=Means(means),
        failed_run=read.text("failed"),
        claimed=claimed,
        lease_ends=lease_ends,
        run=read.text("run"),
        outcome=read.text("outcome"),
        ended=read.stamp("ended"),
        records=None if raw["records"] is None else read.count("records"),
        error=read.text("error"),
        diagnosis=_diagnosis(raw["diagnosis"]),
    )


def _refusal_json(refusal: Refusal | None) -> list[Any] | None:
    return None if refusal is None else [refusal.failed_run, _stamp(refusal.at), refusal.call, refusal.words]


def _refusal(raw: object) -> Refusal | None:
    if raw is None:
        return None
    match raw:
        case [str(failed_run), at, str(call), str(words)]:
            return Refusal(failed_run, moment(at, "refusal"), call, words)
    raise ValueError("refusal")


def _diagnosis_json(diagnosis: Diagnosis | None) -> list[Any] | None:
    # The quote stays out: it holds words of the error as they were.
    if diagnosis is None:
        return None
    return [diagnosis.kind.value, diagnosis.transient, diagnosis.rule, diagnosis.reason]


def _diagnosis(raw: object) -> Diagnosis | None:
    if raw is None:
        return None
    match raw:
        case [str(kind), bool(transient), str(rule), str(reason)] if is_kind(kind):
            return Diagnosis(Kind(kind), transient, rule, reason)
    raise ValueError("diagnosis")


def _window(raw: object, name: str) -> Window:
    match raw:
        case [start, end]:
            return Window(moment(start, name), moment(end, name))
    raise ValueError(name)


def _stamp(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


_MEANS = frozenset(means.value for means in Means)
