"""The beginning of a run: the queues that its request names."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.dead_letters.messages import Queue
from recovery.dead_letters.outcomes import queue_problem
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError, Transient


def find_queues(work: Work) -> Sequence[Queue]:
    """The queues that the request names. One that cannot be had is a problem in the report; the others go on.

    Raises:
        Transient: no queue could be had, and for one at least it may be otherwise soon. Asking again is safe.
    """
    found = work.sqs.find(work.request.queues)
    failed = found.failed

    def describe(url: str) -> Queue | RepriseError:
        try:
            return work.sqs.describe(url, found.sources.get(url))
        except RepriseError as error:
            return error

    queues = []
    for url, described in zip(found.urls, work.each(describe, found.urls), strict=True):
        if isinstance(described, RepriseError):
            failed[url.rstrip("/").rsplit("/", 1)[-1]] = described
        else:
            queues.append(described)
    for error in failed.values():
        if isinstance(error, Transient) and not queues:
            raise error
    for name, error in failed.items():
        work.complain(queue_problem(name, error))
    for glob, names in found.left_out.items():
        work.warn(
            f"queues {glob}: {len(names)} of them may not be asked whether they are a dead-letter queue"
            f" ({', '.join(names[:5])}), and are left out"
        )
    work.visible = {queue.name: queue.visible for queue in queues}
    for queue in queues:
        if work.dry_run and queue.has_redrive:
            work.warnings.append(
                f"queue {queue.name}: has a dead-letter queue of its own, so even this look counts as a receive there"
            )
    # Not always the same one first: with more messages than a run takes up, the last would never have its turn.
    first = int(work.jitter() * len(queues))
    return queues[first:] + queues[:first]
