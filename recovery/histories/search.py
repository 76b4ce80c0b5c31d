"""Finding the history of an item, and the cases that wait for a person. Only reads; every loop is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Protocol

from recovery.appflow_runs import story as flows
from recovery.archive import Archive, Pointer
from recovery.cases import Case, DamagedCase, sound
from recovery.closing.notes import NoteBook, Notes
from recovery.dead_letters import remembered
from recovery.dead_letters import story as messages
from recovery.digest.book import DayBook
from recovery.errors import BadInput, RepriseError
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.histories.waiting import Found, find
from recovery.ledger import Ledger
from recovery.paths import Path
from recovery.records import DamagedRecord
from recovery.replication_tasks import story as replications
from recovery.story import Story, of_line

MOST_IDS = 100
"""Ids of one message that are followed: more than any limit on attempts and replays allows."""
MOST_COPIES = 10
"""Copies in the archive that are opened."""
MOST_LISTS = 100
"""Full lists of runs that are searched."""
MOST_DAMAGED = 10
"""Damaged cases that are named one by one."""


class RowsOf(Protocol):
    """Reads an outbox table (`recovery.outbox_records.story.Rows`)."""

    def find(self, key: str) -> Story | None:
        """The story of the row with this key."""
        ...

    def exhausted(self, most: int) -> Iterator[Story]:
        """Rows that wait for a person."""
        ...


class Histories:
    """Sources of the histories. Plain, so that Prefect does not walk through it.

    Args:
        ledger, archive: of the estate.
        rows: gives the reader of an outbox table by its name.
        arns: ARNs of the replications that have a name; asks DMS.
        now: the time, aware, by AWS's clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        archive: Archive,
        rows: Callable[[str], RowsOf],
        arns: Callable[[str], Sequence[str]],
        now: Callable[[], datetime],
    ) -> None:
        self.ledger = ledger
        self.archive = archive
        self.rows = rows
        self.arns = arns
        self.now = now
        self.warnings: list[str] = []
        """Sources that could not be read, each a line for a person."""
        self.damaged: list[DamagedCase] = []
        """Cases that could not be read."""

    def describe(self, request: CaseRequest) -> list[Story]:
        """The stories of everything that the key fits, on the path that was named or on all.

        Raises:
            BadInput: no key, a table that is no outbox, or nothing is known under that key; it names the next step.
            Transient, Refused: the ledger could not be read.
        """
        key = request.key.strip()
        if not key:
            raise BadInput("key: name a message id, the key of an outbox row, a DMS task or an AppFlow flow")
        if request.path is Path.OUTBOX_RECORDS and not request.outbox_tables:
            raise BadInput("outbox_tables: name the table of the row; a row's history is on the row itself")
        found: list[Story] = []
        for path in [request.path] if request.path else list(Path):
            found += self._on(path, key, request.outbox_tables)
        if not found:
            found = self._in_lists(request, key)
        self._warn_of_damage()
        if not found:
            raise BadInput(self._nothing(request, key))
        return found

    def waiting(self, request: ListRequest) -> list[Story]:
        """Cases that wait for a person, by path and group, the oldest first; at most the request's limit.

        Each path has an equal share of the limit, and what one does not need goes to the others: many messages hide no
        task.

        Raises:
            BadInput: a table that is no outbox.
            Transient, Refused: the ledger could not be read.
        """
        return [one.story for one in self.choose(request)]

    def choose(self, request: ListRequest) -> list[Found]:
        """The same with all that is needed to act on them.

        Raises:
            BadInput, Transient, Refused: as `waiting`.
        """
        paths = request.paths or tuple(Path)
        share = max(1, request.limit // len(paths))
        by_path = {path: self._waiting_on(path, request, share) for path in paths}
        left = request.limit - sum(map(len, by_path.values()))
        for path in [path for path in paths if len(by_path[path]) == share]:
            if left > 0:
                by_path[path] = self._waiting_on(path, request, share + left)
                left -= len(by_path[path]) - share
        self._warn_of_damage()
        cut = [path for path in paths if len(by_path[path]) >= share and left <= 0]
        if cut:
            names = ", ".join(f"{len(by_path[path])} of {path.value}" for path in cut)
            self.warnings.append(f"there may be more: the list ends after {request.limit} cases (limit), {names}")
        found = [one for path in paths for one in by_path[path]][: request.limit]
        longest_ago = datetime.max.replace(tzinfo=self.now().tzinfo)
        found.sort(key=lambda one: (one.story.path, one.story.group, one.first_seen or longest_ago, one.story.key))
        return found

    # -- one item ------------------------------------------------------------------------------------------------

    def _on(self, path: Path, key: str, tables: Iterable[str]) -> list[Story]:
        if path is Path.DEAD_LETTERS:
            cases = self._messages(key)
            return [messages.story(key, cases, self._copies(cases))] if cases else []
        if path is Path.OUTBOX_RECORDS:
            return [story for table in tables if (story := self.rows(table).find(key)) is not None]
        cases = self._replications(key) if path is Path.REPLICATION_TASKS else list(self._read(path, [key]).values())
        return [LEDGERED[path].story(key, case) for case in cases]

    def _messages(self, key: str) -> list[Case]:
        """The cases of a message under all ids that lead to it or away from it."""
        found: dict[str, Case] = {}
        asked: set[str] = set()
        wanted = [key]
        while wanted and len(asked) < MOST_IDS:
            asked.update(wanted)
            read = self._read(Path.DEAD_LETTERS, wanted)
            found |= read
            linked = [known for case in read.values() for known in messages.linked(case)]
            wanted = [known for known in dict.fromkeys(linked) if known not in asked][: MOST_IDS - len(asked)]
        return list(found.values())

    def copies(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the copies of a message in the archive, with their addresses, the latest last."""
        return self._copies(self._messages(key))

    def _copies(self, cases: Iterable[Case]) -> list[tuple[str, Mapping[str, Any]]]:
        copies: list[tuple[str, Mapping[str, Any]]] = []
        pointing = sorted((case for case in cases if "archive" in case.detail), key=lambda case: case.changed)
        for case in pointing[-MOST_COPIES:]:
            pointer = Pointer.from_json(case.detail["archive"])
            address = f"s3://{self.archive.bucket}/{pointer.key} line {pointer.line}"
            try:
                lines = self.archive.read_bundle(pointer.key)
            except RepriseError as error:
                self.warnings.append(f"the copy at {address} could not be read: {error}")
                continue
            if pointer.line < len(lines) and lines[pointer.line].get("message_id") == case.key:
                copies.append((address, lines[pointer.line]))
            else:
                self.warnings.append(f"{address} does not hold this message")
        return copies

    def _in_lists(self, request: CaseRequest, key: str) -> list[Story]:
        """Search the full lists of the last days: an item that was brought back has no case under its old id."""
        lists = self._lists(request.path, request.days)
        if len(lists) > MOST_LISTS:
            self.warnings.append(f"only the latest {MOST_LISTS} of {len(lists)} lists of runs were searched")
        for path, address in lists[:MOST_LISTS]:
            try:
                whole = self.archive.read_bundle(address)
            except RepriseError as error:
                self.warnings.append(f"the list {address} could not be read: {error}")
                continue
            if not all(whole):
                self.warnings.append(f"the list {address} has lines that cannot be read")
            lines = [line for line in whole if line.get("key") == key]
            if not lines:
                continue
            became = str(lines[-1].get("became") or "")
            cases = self._messages(became) if became and path == Path.DEAD_LETTERS.value else []
            if cases:
                return [messages.story(key, cases, self._copies(cases))]
            return [of_line(path, lines[-1], f"s3://{self.archive.bucket}/{address}")]
        return []

    def _lists(self, path: Path | None, days: int) -> list[tuple[str, str]]:
        """Path and key of the full lists of the last days, the latest first."""
        book, today = DayBook(self.ledger), self.now().date()
        found: list[tuple[str, str]] = []
        for back in range(days):
            for day in book.read(today - timedelta(days=back)):
                if path in (None, day.path):
                    found += [(day.path, address) for address in reversed(day.lists)]
        return found

    def _replications(self, key: str) -> list[Case]:
        path = Path.REPLICATION_TASKS
        if key.startswith("arn:"):
            return list(self._read(path, [key]).values())
        try:
            arns = self.arns(key)
        except RepriseError as error:
            self.warnings.append(f"DMS could not be asked for the ARN of {key}: {error}")
            arns = []
        damaged = len(self.damaged)
        found = list(self._read(path, arns).values())
        if not found and len(self.damaged) == damaged:  # it may be deleted, and still wait for a person
            found = [case for case in self.open_cases(path, "", closed=False) if replications.name_of(case) == key]
        return found

    def _read(self, path: Path, keys: Iterable[str]) -> dict[str, Case]:
        """Cases by key; what cannot be read is set aside."""
        cases = self.ledger.read_cases(path.value, keys, damaged=self.damaged).values()
        return {case.key: case for case in sound(cases, LEDGERED[path].check, self.damaged)}

    def _warn_of_damage(self) -> None:
        found = list({(case.path, case.key): case for case in self.damaged}.values())
        for case in found[:MOST_DAMAGED]:
            self.warnings.append(f"{case}: put right {case.place(self.ledger.table)}")
        if len(found) > MOST_DAMAGED:
            self.warnings.append(f"{len(found) - MOST_DAMAGED} more cases of the ledger are damaged")

    def _nothing(self, request: CaseRequest, key: str) -> str:
        where = f"on the path {request.path.value}" if request.path else "on any path"
        tables = "" if request.outbox_tables else "; outbox rows are found only in outbox_tables that you name"
        more = "".join(f"; {line}" for line in self.warnings)
        if self.damaged:
            return f"key: what is known of {key!r} {where} cannot be read{more}"
        return (
            f"key: nothing is known of {key!r} {where}: never seen, forgotten after its time, or misspelt{tables}{more}"
        )

    # -- what waits ----------------------------------------------------------------------------------------------

    def _waiting_on(self, path: Path, request: ListRequest, most: int) -> list[Found]:
        return list(find(self, path, request, most))

    def open_cases(self, path: Path, group: str, *, closed: bool) -> Iterator[Case]:
        """Yield the cases of a path (and group) that wait for a person or were closed by one."""
        cases = self.ledger.waiting(path.value, group, damaged=self.damaged, closed=closed)
        return sound(cases, LEDGERED[path].check, self.damaged)

    def story_of(self, path: Path, case: Case) -> Story:
        """Return the story of a case of a path, under the name that people call it by."""
        ledgered = LEDGERED[path]
        return ledgered.story(ledgered.name(case), case)

    def notes(self, path: Path) -> Mapping[str, Notes]:
        """Return the notes of people on the groups of a path; one that cannot be read is a warning."""
        damaged: list[DamagedRecord] = []
        found = NoteBook(self.ledger).of_path(path.value, damaged)
        self.warnings.extend(f"the notes of a group are damaged: put right {one.place}" for one in damaged)
        return found


@dataclass(frozen=True)
class Ledgered:
    """A path whose items have cases in the ledger.

    Attributes:
        check: raises ValueError for a case that is not as its path writes it.
        story: of an item by its case.
        name: what people call the item.
    """

    check: Callable[[Case], object]
    story: Callable[[str, Case], Story]
    name: Callable[[Case], str] = attrgetter("key")


LEDGERED: Mapping[Path, Ledgered] = {
    Path.DEAD_LETTERS: Ledgered(remembered.check, lambda key, case: messages.story(key, [case])),
    Path.REPLICATION_TASKS: Ledgered(replications.check, replications.story, replications.name_of),
    Path.APPFLOW_RUNS: Ledgered(flows.check, flows.story),
}
"""All paths but the outbox, whose rows hold their own story."""
