"""A wrong configuration is reported in words that name the field, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from recovery.errors import BadInput
from relay.configuration import RelayConfiguration, load


def test_nothing_named_nothing_listened_to() -> None:
    """Without a file only the events queue is read; so with an empty file."""
    assert load(None) == RelayConfiguration()


def test_a_file_names_queues_and_outboxes(tmp_path: Path) -> None:
    """Queues by name, URL or glob; outboxes as in the deployments' requests."""
    file = tmp_path / "relay.yaml"
    file.write_text(
        "queues: ['*-dlq']\n"
        "outboxes: [{table: orders-outbox, topic_arn: 'arn:aws:sns:eu-west-1:123456789012:orders'}]\n"
    )
    found = load(str(file))
    assert found.queues == ("*-dlq",)
    assert [request.table for request in found.outboxes] == ["orders-outbox"]
    file.write_text("")
    assert load(str(file)) == RelayConfiguration()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("queues: [", "expected YAML"),
        ("queue: [a]", "queue: Extra inputs"),
        ("queues: 7", "queues: Input should be a valid tuple"),
        ("outboxes:\n  - tabel: x", "outboxes.0.tabel: Extra inputs"),
        ("- a\n- b", "the file: Input should be a valid dictionary"),
        ("\x00", "expected YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    """The message has the file's name, the field and what was expected."""
    file = tmp_path / "relay.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"relay\.yaml") as caught:
        load(str(file))
    assert words in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and one that is not text."""
    with pytest.raises(BadInput, match=r"nowhere\.yaml: No such file"):
        load(str(tmp_path / "nowhere.yaml"))
    file = tmp_path / "binary.yaml"
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadInput, match=r"binary\.yaml: expected UTF-8"):
        load(str(file))
