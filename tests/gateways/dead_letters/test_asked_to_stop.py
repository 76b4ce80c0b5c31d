"""A run whose worker is asked to stop: nothing is begun, and what it holds is visible to the next run at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from flows import dead_letters as flow
from proof.plain_prefect import play
from recovery.dead_letters import receiving, sending, triage
from recovery.stopping import STOP_FILE
from tasks import dead_letters as tasks
from tests.dead_letters_world import TIMEOUT, DeadLettersWorld

COUNT = 25
"""Messages: more than one request can make visible, so that the run's threads are needed once more at its end."""


class Stopped(BaseException):
    """As Prefect's: raised wherever the run is when its process gets SIGTERM."""


def filled(world: DeadLettersWorld) -> str:
    """A dead-letter queue with messages that would heal."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * COUNT)
    return pair.dead


def test_a_run_that_was_asked_to_stop_takes_nothing_and_says_so(
    world: DeadLettersWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is that of a run which ended well, with one warning; the next one does the work."""
    queue = filled(world)
    file = tmp_path / "stop"
    file.touch()
    monkeypatch.setenv(STOP_FILE, str(file))
    report = world.recover(queue)
    assert (report.found, report.problems) == (0, ())
    assert [line for line in report.warnings if "asked to stop" in line]
    assert world.visible(queue) == COUNT
    file.unlink()
    assert world.recover(queue).by_action == {"heal": COUNT}


def test_a_round_in_hand_is_finished(world: DeadLettersWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked in the middle of a round, a run carries out what it decided, and begins no other round."""
    queue = filled(world)
    file = tmp_path / "stop"
    monkeypatch.setenv(STOP_FILE, str(file))
    decide = triage.decide_messages

    def asked(*args: Any) -> None:
        file.touch()
        decide(*args)

    with mock.patch.object(receiving, "ROUND", 10), mock.patch.object(tasks.decide_messages, "fn", asked):
        report = world.recover(queue)
    assert report.by_action == {"heal": 10}
    assert world.visible(queue) == COUNT - 10


@pytest.mark.parametrize(("module", "step"), [(triage, "look_up_history"), (sending, "write_ahead")])
def test_what_a_stopped_run_holds_is_visible_at_once(world: DeadLettersWorld, module: object, step: str) -> None:
    """Stopped by force before any send was begun, all of its messages are there for the next run, which heals them."""
    queue = filled(world)
    request = world.request(queue)

    def stopped(*_args: object) -> None:
        raise Stopped

    with (
        pytest.raises(Stopped),
        mock.patch.object(getattr(tasks, step), "fn", stopped),
        world.at_work(request) as work,
    ):
        play(flow.recover_dead_letters, request, work)
    assert world.visible(queue) == COUNT
    assert world.recover(queue).by_action == {"heal": COUNT}


def test_what_was_being_received_is_visible_at_once(world: DeadLettersWorld) -> None:
    """Stopped between two receives, before there is a round at all."""
    queue = filled(world)
    request = world.request(queue)
    once = threading.Event()
    with world.at_work(request, threads=1) as work:
        receive = work.sqs.receive

        def received_then_stopped(*args: Any) -> Any:
            if once.is_set():
                raise Stopped
            once.set()
            return receive(*args)

        with pytest.raises(Stopped), mock.patch.object(work.sqs, "receive", received_then_stopped):
            play(flow.recover_dead_letters, request, work)
    assert world.visible(queue) == COUNT


def test_what_was_being_sent_stays_hidden_and_is_settled_later(world: DeadLettersWorld) -> None:
    """A copy may be on its way, so these are not given back; nothing is lost, and nothing is sent twice."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * COUNT)
    request = world.request(pair.dead)
    send = sending.send_messages

    def sent_then_stopped(*args: Any) -> None:
        send(*args)
        raise Stopped

    with (
        pytest.raises(Stopped),
        mock.patch.object(tasks.send_messages, "fn", sent_then_stopped),
        world.at_work(request) as work,
    ):
        play(flow.recover_dead_letters, request, work)
    assert world.visible(pair.dead) == 0
    assert len(world.bodies(pair.source)) == COUNT
