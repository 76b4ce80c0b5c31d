"""Failure texts are read as what they are, and no text that is only like a lost position empties a target."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.models import Facts, History, Migration
from recovery.replication_tasks.rules import decide
from recovery.replication_tasks.situation import Situation
from recovery.replication_tasks.texts import Nature, Text, compiled, table
from recovery.replication_tasks.verdicts import Reload, Resume
from tests.unit.replication_tasks.failure_texts import TEXTS, failed_with
from tests.unit.replication_tasks.situations import NOW, RELOADABLE, SITUATIONS

TABLE = {text.id: text for text in table()}
LOST = [text for text in table() if text.nature is Nature.POSITION_LOST]
FATAL = " Stop Reason FATAL_ERROR Error Level FATAL"


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_a_text_is_read_as_what_it_is(number: int) -> None:
    """Each text of the collection gets one of its natures, and only a lost position is ever loaded again."""
    one = TEXTS[number]
    facts = failed_with(one.text, one.migration)
    cause = cause_of(facts)
    verdict = decide(Situation(facts, History()), RELOADABLE, NOW)
    assert cause.nature.value in one.natures, (cause, one.text)
    assert isinstance(verdict, Reload) == (one.natures == ("position lost",))
    if cause.nature is Nature.LASTING:
        assert cause.next_step


@pytest.mark.parametrize("key", TABLE)
def test_each_entry_decides_its_examples(key: str) -> None:
    """Each entry of the table decides its own examples, whatever entries stand before it, and none of its counters."""
    entry = TABLE[key]
    assert entry.examples
    for example in entry.examples:
        assert cause_of(failed_with(example)).rule == entry.id, example
    for counter in entry.counter:
        assert cause_of(failed_with(counter)).rule != entry.id, counter


def test_the_table_is_complete() -> None:
    """Ids are unique, sources are named, what a person must do is stated, and lost positions are whole phrases."""
    assert len(TABLE) == len(table())
    for entry in table():
        assert entry.source
        assert entry.reason
        assert entry.step or entry.nature is Nature.RESTING
    for entry in LOST:
        assert not any("*" in phrase.split() for phrase in entry.phrases)


def _reported(phrase: str) -> str:
    """The phrase as a text would hold it: the first of its choices, nothing that may be missing, names, numbers."""
    text = re.sub(r"\[[^\[\]]*\|\]", "", phrase)
    text = re.sub(r"\[([^\[\]|]*)[^\[\]]*\]", r"\1", text).replace("<>", "'x_7'").replace("#", "77")
    return " ".join(text.split())


PHRASES = [(entry, phrase) for entry in LOST for phrase in entry.phrases]


@pytest.mark.parametrize(("entry", "phrase"), PHRASES, ids=[phrase for _, phrase in PHRASES])
def test_a_phrase_with_one_word_changed_is_no_lost_position(entry: Text, phrase: str) -> None:
    """A word left out, put in or put in place of another makes it another text: it never leads to a reload."""
    words = _reported(phrase).split()
    assert compiled(phrase).search(" ".join(words))
    whole = failed_with(f"Last Error  {' '.join(words)}{FATAL}")
    assert cause_of(whole).nature is Nature.POSITION_LOST
    changed = [words[:place] + words[place + 1 :] for place in range(len(words))]
    changed += [
        [*words[:place], other, *words[place + 1 :]]
        for place in range(len(words))
        if not words[place].startswith(("'", "77"))
        for other in ("other", "not")
    ]
    changed += [[*words[:place], "not", *words[place:]] for place in range(len(words))]
    for mutated in changed:
        if mutated == words or any(compiled(other).fullmatch(" ".join(mutated)) for _, other in PHRASES):
            continue  # the same, or what another version says
        facts = failed_with(f"Last Error  {' '.join(mutated)}{FATAL}")
        assert not isinstance(decide(Situation(facts, History()), RELOADABLE, NOW), Reload), mutated
        assert entry.nature is Nature.POSITION_LOST


OTHERS = [entry for entry in table() if entry.nature is not Nature.POSITION_LOST]


@pytest.mark.parametrize("entry", OTHERS, ids=[entry.id for entry in OTHERS])
def test_no_other_text_becomes_a_lost_position_by_one_word(entry: Text) -> None:
    """A word left out of the text of another entry, or put in place of one, never leads to a reload."""
    for example in entry.examples:
        words = example.split()
        changed = [words[:place] + words[place + 1 :] for place in range(len(words))]
        changed += [
            [*words[:place], other, *words[place + 1 :]]
            for place in range(len(words))
            for other in ("purged", "gone", "lost", "missing", "not")
        ]
        for mutated in changed:
            facts = failed_with(f"Last Error  {' '.join(mutated)}{FATAL}")
            assert not isinstance(decide(Situation(facts, History()), RELOADABLE, NOW), Reload), mutated


@pytest.mark.parametrize("entry", LOST, ids=[entry.id for entry in LOST])
@pytest.mark.parametrize(
    "around",
    [
        "INSERT INTO notes VALUES (17,'{}') Duplicate entry '17' for key 'PRIMARY'",
        'invalid input syntax for type integer: "{}"',
        'duplicate key value violates unique constraint "n" DETAIL: Key (note)=({}) already exists',
        'cannot write the document {{"_id": 7, "note": "{}"}} to the target',
    ],
)
def test_what_a_customer_wrote_is_no_finding(entry: Text, around: str) -> None:
    """A value of a statement, a key or a document is data, whatever it says."""
    for example in entry.examples:
        value = re.sub(r"['\"()]", "", example.split(": ", 1)[-1])
        facts = failed_with(f"Last Error  {around.format(value)}{FATAL}")
        assert not isinstance(decide(Situation(facts, History()), RELOADABLE, NOW), Reload), value


@pytest.mark.parametrize("entry", LOST, ids=[entry.id for entry in LOST])
def test_what_dms_calls_recoverable_is_no_lost_position(entry: Text) -> None:
    """The same text with the level RECOVERABLE is resumed once, and never loaded again."""
    for example in entry.examples:
        facts = failed_with(f"Last Error  {example} Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE")
        assert isinstance(decide(Situation(facts, History()), RELOADABLE, NOW), Resume), example


@pytest.mark.parametrize("entry", LOST, ids=[entry.id for entry in LOST])
@pytest.mark.parametrize(
    "around",
    [
        "Check whether {}",
        "Make sure that no {}",
        "Lost connection to server during query; {}",
        "{}, retrying",
        "Failed to execute statement: 'INSERT INTO notes VALUES ('{}')' [1022502]",
    ],
)
def test_words_that_are_no_finding_empty_nothing(entry: Text, around: str) -> None:
    """An advice, a doubt, data, what was overcome, and words beside an outage are no finding."""
    for example in entry.examples:
        text = around.format(example.split(": ", 1)[-1].strip("'. ").replace("'", '"'))
        verdict = decide(Situation(failed_with(f"Last Error  {text}{FATAL}"), History()), RELOADABLE, NOW)
        assert not isinstance(verdict, Reload), text


def test_a_load_has_no_position_to_lose() -> None:
    """The words of a lost position in the failure of a task that only loads reload nothing."""
    for entry in LOST:
        for example in entry.examples:
            facts = failed_with(f"{example}{FATAL}", Migration.FULL_LOAD)
            assert not isinstance(decide(Situation(facts, History()), RELOADABLE, NOW), Reload), example


fragments = st.sampled_from(
    [part for entry in table() for example in entry.examples for part in re.split(r"(?<=[,.;:]) ", example)]
    + [situation.facts.failure for situation in SITUATIONS]
    + ["not", "no", "Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE", FATAL, "Last Error ", "\n", "'", '"', "("]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(fragments | st.text(max_size=20), max_size=6))
def test_no_text_makes_the_reading_fail(parts: list[str]) -> None:
    """Any mixture of words is read, and the same words are read the same."""
    facts = failed_with(" ".join(parts))
    assert cause_of(facts) == cause_of(facts)


def test_patterns_end_on_long_texts() -> None:
    """No text makes a pattern run away."""
    worst = ("lost connection replication slot archived redo log access LSN statement 'x " * 4_000)[:200_000]
    assert cause_of(failed_with(worst)).rule
    assert cause_of(replace(failed_with(worst), last_failure="a" * 200_000, stop_reason="")).rule
    assert cause_of(Facts("arn", "t", Migration.CDC, "failed", last_failure="sql '" * 3_000)).rule
