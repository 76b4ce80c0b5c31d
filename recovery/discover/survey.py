"""The survey of an account: read everything once, then look for faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import TypeVar

from recovery.consumers import Consumer, Consumers
from recovery.discover.faults import row_of
from recovery.discover.gateway import Surveyor
from recovery.discover.models import Alarm, LogGroup, QueueFacts, Setup, SourceSetup, Survey
from recovery.errors import Refused, Transient

THREADS = 8
_NAMED_LIKE_ONE = ("*dlq*", "*dead*", "*_error", "*.error")

_T = TypeVar("_T")
_R = TypeVar("_R")


class Office:
    """The tools of one survey, and what could not be read.

    Args:
        surveyor: describes queues.
        consumers: describes their consumers.
        now: the time, by AWS's clock.
        own: names of Reprise's own queues, which no recovery may take up.
    """

    def __init__(
        self, surveyor: Surveyor, consumers: Consumers, now: Callable[[], datetime], own: Collection[str] = ()
    ) -> None:
        self.surveyor = surveyor
        self.consumers = consumers
        self.now = now
        self.own = own
        self.problems: dict[str, None] = {}

    def attempt(self, about: str, do: Callable[[], _R]) -> _R | None:
        """Return what AWS says; None, and a line for the report, where it does not."""
        try:
            return do()
        except (Refused, Transient) as error:
            denied = "denied" in error.code.lower() or error.code.startswith("AuthorizationError")
            why = f"permission {error.operation} is missing for this role" if denied else str(error)
            self.problems[why if denied else f"{about}: {why}"] = None
            return None


def survey(office: Office, wanted: Sequence[str]) -> Survey:
    """Return every dead-letter queue that is wanted, with its sources, consumers, evidence and faults.

    Args:
        office: the tools.
        wanted: names or globs of dead-letter queues.

    Raises:
        Refused, Transient: the queues could not be listed.
    """
    urls = office.surveyor.queues()
    read = _each(lambda url: office.attempt(f"queue {_name(url)}", lambda: office.surveyor.queue(url)), urls)
    queues = {queue.arn: queue for queue in read if queue is not None}
    sources: dict[str, list[QueueFacts]] = defaultdict(list)
    for queue in queues.values():
        if queue.dead_arn:
            sources[queue.dead_arn].append(queue)
    dead = sorted(arn for arn in sources if _is_wanted(_queue_name(arn), wanted) and _queue_name(arn) not in office.own)
    alarms = dict(zip(dead, _each(lambda arn: _alarms(office, arn), dead), strict=True))
    ages = office.attempt("ages", lambda: office.surveyor.ages([_queue_name(arn) for arn in dead], office.now())) or {}
    groups: dict[str, LogGroup | None] = {}
    setups = [
        Setup(
            queue=queues.get(arn, QueueFacts(_queue_name(arn), arn)),
            exists=arn in queues or not _is_here(arn, queues),
            sources=[_source(office, queue, groups) for queue in sorted(sources[arn], key=lambda q: q.name)],
            consumers=(_consumers(office, arn) or ()) if arn in queues else (),
            alarms=alarms[arn],
            oldest_seconds=ages.get(_queue_name(arn)),
        )
        for arn in dead
    ]
    others = sorted((queue for queue in queues.values() if queue.arn not in sources), key=lambda queue: queue.name)
    orphans = [
        queue for queue in others if _is_wanted(queue.name, wanted) and _is_wanted(queue.name.lower(), _NAMED_LIKE_ONE)
    ]
    return Survey([row_of(setup) for setup in setups], tuple(office.problems), orphans)


def _source(office: Office, queue: QueueFacts, groups: dict[str, LogGroup | None]) -> SourceSetup:
    consumers = _consumers(office, queue.arn)
    found = []
    for name in sorted({each.function.log_group for each in consumers or () if each.function}):
        if name not in groups:
            groups[name] = office.attempt(f"log group {name}", partial(office.surveyor.log_group, name))
        if (group := groups[name]) is not None:
            found.append(group)
    return SourceSetup(queue, consumers, found)


def _consumers(office: Office, arn: str) -> list[Consumer] | None:
    return office.attempt(f"consumers of queue {_queue_name(arn)}", lambda: office.consumers.of_queue(arn))


def _alarms(office: Office, arn: str) -> list[Alarm] | None:
    name = _queue_name(arn)
    return office.attempt(f"alarms of queue {name}", lambda: office.surveyor.alarms(name))


def _each(do: Callable[[_T], _R], things: Sequence[_T]) -> list[_R]:
    with ThreadPoolExecutor(THREADS, "reprise") as pool:
        return list(pool.map(do, things))


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_here(arn: str, queues: dict[str, QueueFacts]) -> bool:
    """True when a queue is of the account and region that was listed, so that it would be known."""
    return any(arn.rpartition(":")[0] == other.rpartition(":")[0] for other in queues)


def _queue_name(arn: str) -> str:
    return arn.rpartition(":")[2]


def _name(url: str) -> str:
    return url.rpartition("/")[2]
