"""The parts of the demo that hold it together: its view, its folder, its way to Prefect, its reading of AWS."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from demo import stage
from demo.runs import Runs
from demo.scenes import DemoFailed, Row, Stopped, World
from demo.view import View
from recovery.errors import Refused

# -- the view ------------------------------------------------------------------------------------------------------


def drawn(*, terminal: bool) -> tuple[View, io.StringIO]:
    out = io.StringIO()
    return View(Console(file=out, force_terminal=terminal, width=100, highlight=False)), out


def test_where_nobody_watches_the_story_is_printed_line_by_line() -> None:
    """A log gets each line once, the number of settled items when it changes, and the last picture."""
    view, out = drawn(terminal=False)
    with view.running():
        view.say("it begins")
        for settled in (0, 0, 2, 2):
            view.show({"Messages": [Row("dead", 3 - settled, False), Row("carried out", settled, True)]})
    view.summary()
    text = out.getvalue()
    assert text.count("it begins") == 1
    assert text.count("Messages: 2 of 3 settled") == 2, "once as news, once as the heading of the picture"
    assert "carried out" in text


def test_on_a_terminal_the_picture_is_live() -> None:
    """The rows and the story stand in one picture, which stays when it is over."""
    view, out = drawn(terminal=True)
    with view.running():
        view.say("it begins [sic]")
        view.show({"Messages": [Row("dead", 1, False), Row("carried out", 2, True)]})
    text = out.getvalue()
    assert "it begins [sic]" in text
    assert "Messages: 2 of 3 settled" in text


def test_a_small_screen_folds_what_is_settled() -> None:
    """The picture fits the screen: settled scenes become one line, and the last lines of the story stay."""
    out = io.StringIO()
    view = View(Console(file=out, force_terminal=True, width=100, height=16, highlight=False))
    for number in range(30):
        view.say(f"line {number} " + "x" * 200)
    done = [Row(f"archived {number}", 1, True) for number in range(9)]
    view.show({"Messages": done, "Tasks": [Row("waiting", 1, False), Row("recovered", 1, True)]})
    console = Console(file=out, width=100, height=16, record=True)
    console.print(view._picture())
    text = console.export_text()
    assert len(text.splitlines()) <= 16
    assert "Messages: 9 of 9 settled" in text
    assert "archived 3" not in text
    assert "waiting" in text
    assert "line 29" in text


# -- its folder ----------------------------------------------------------------------------------------------------


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one takes the next folder; what an ended one left is removed."""
    wanted = tmp_path / "demo"
    (wanted / "prefect").mkdir(parents=True)
    (wanted / "old.log").write_text("of yesterday")
    with stage._own(wanted) as first, stage._own(wanted) as second:
        assert (first, second) == (wanted, tmp_path / "demo-2")
        assert [file.name for file in first.iterdir()] == ["lock"]
        (first / "worker.log").write_text("now")
    with stage._own(wanted) as again:
        assert again == wanted
        assert [file.name for file in again.iterdir()] == ["lock"]


def test_runs_start_with_this_python() -> None:
    """A worker starts runs by the name `python`, which must be found in this environment first."""
    path = stage._with_own_python({"PATH": "/usr/bin"})["PATH"].split(":")
    assert (Path(path[0]) / "python").exists()
    assert path[1:] == ["/usr/bin"]


# -- the world -----------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    nothing = cast(Any, None)
    return World(nothing, nothing, nothing, tmp_path, {}, print, ExitStack())


def test_waiting_ends_with_the_first_answer(world: World) -> None:
    """Whatever is truthy is the answer."""
    answers = iter([None, 0, "there"])
    assert world.wait("an answer", lambda: next(answers), seconds=5, every=0) == "there"


def test_waiting_in_vain_says_for_what(world: World) -> None:
    """The demo fails with a sentence, and does not hang."""
    with pytest.raises(DemoFailed, match="waited 0 s for a miracle"):
        world.wait("a miracle", lambda: None, seconds=0)


def test_a_person_who_is_done_need_not_wait(world: World) -> None:
    """Scenes stop at their next pause."""
    world.stopping.set()
    with pytest.raises(Stopped):
        world.wait("an answer", lambda: None, seconds=60)


# -- its way to Prefect --------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """A Prefect server's few answers; `busy` is how often it first says 503."""

    daemon_threads = True
    busy = 0

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/deployments/name/dead-letters/by-hand"):
            schedules = [{"id": "s-1", "active": True}]
            given: Any = {"request": {"queues": []}, "event": None}
            self._answer(200, {"id": "d-1", "parameters": given, "schedules": schedules})
        elif self.path == "/flow_runs/r-1":
            self._answer(200, {"id": "r-1", "name": "all done", "state": {"type": "COMPLETED", "message": None}})
        else:
            self._answer(404, {"detail": "Deployment not found"})

    def do_PATCH(self) -> None:
        self._answer(204, None)

    def do_POST(self) -> None:
        if self.path == "/flow_runs/filter":
            ended = {"type": "COMPLETED", "message": None}
            by_event = {"id": "r-3", "name": "3", "state": ended, "created_by": {"type": "AUTOMATION"}}
            by_hand = {"id": "r-2", "name": "2", "state": ended, "created_by": None}
            self._answer(200, [{**run, "deployment_id": "d-1"} for run in (by_event, by_hand)])
            return
        self._answer(201, {"id": "r-1", "name": "wise-owl", "state": {"type": "SCHEDULED", "message": ""}})

    def _answer(self, status: int, data: Any) -> None:
        server = cast(Server, self.server)
        read = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.asked.append((self.command, self.path, json.loads(read) if read else None))
        if server.busy > 0:
            server.busy -= 1
            status, data = 503, {}
        body = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.fixture
def runs(server: Server) -> Iterator[Runs]:
    made = Runs(f"http://127.0.0.1:{server.server_port}", "http://ui", pause=lambda _: None)
    yield made
    made.close()


def test_a_run_is_started_with_its_parameters_and_watched_to_its_end(server: Server, runs: Runs) -> None:
    """The parameters go to the deployment, and the run that is looked at later is the one that was started."""
    begun = runs.start("dead-letters/by-hand", {"request": {"queues": ["orders-dlq"]}})
    ended = runs.ended(begun)
    assert ended is not None
    assert (ended.name, ended.completed, ended.deployment) == ("all done", True, "dead-letters/by-hand")
    assert ended.url == "http://ui/v2/runs/flow-run/r-1"
    [(_, path, body)] = [asked for asked in server.asked if asked[0] == "POST"]
    assert path == "/deployments/d-1/create_flow_run"
    assert body["parameters"] == {"request": {"queues": ["orders-dlq"]}}


def test_a_busy_server_is_asked_again_for_the_same_run(server: Server, runs: Runs) -> None:
    """SQLite under load answers 503; the idempotency key makes a repeated start the same run."""
    server.busy = 1
    runs.start("dead-letters/by-hand", {})
    server.busy = 1
    begun = runs.start("dead-letters/by-hand", {})
    server.busy = 3
    assert runs.ended(begun) is not None
    posts = [body["idempotency_key"] for method, _, body in server.asked if method == "POST"]
    assert len(set(posts)) == 2


def test_a_start_whose_answer_is_lost_is_the_same_start(server: Server, runs: Runs) -> None:
    """The key is made once for each start, not for each request."""
    runs.start("dead-letters/by-hand", {})
    server.asked.clear()
    # The look-up of the deployment passes, and the start itself meets a busy server.
    original = Handler._answer
    calls = iter([0, 2])

    def busy_at_the_start(self: Handler, status: int, data: Any) -> None:
        if self.command == "POST" and next(calls, None) == 0:
            status, data = 503, {}
        original(self, status, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handler, "_answer", busy_at_the_start)
        runs.start("dead-letters/by-hand", {})
    posts = [body["idempotency_key"] for method, _, body in server.asked if method == "POST"]
    assert len(posts) == 2
    assert len(set(posts)) == 1


def test_a_deployment_is_configured_and_its_schedule_waits_for_whoever_configured_it(
    server: Server, runs: Runs
) -> None:
    """The request takes the place of the deployment's own, other parameters stay, and no schedule joins in."""
    runs.configure("dead-letters/by-hand", {"queues": ["orders-dlq"]})
    assert [(path, body) for method, path, body in server.asked if method == "PATCH"] == [
        ("/deployments/d-1", {"parameters": {"request": {"queues": ["orders-dlq"]}, "event": None}}),
        ("/deployments/d-1/schedules/s-1", {"active": False}),
    ]


def test_runs_are_distinguished_by_what_started_them(server: Server, runs: Runs) -> None:
    """Of the deployments that were configured all runs are seen, the oldest first; an event's are known as such."""
    assert runs.all() == []
    runs.configure("dead-letters/by-hand", {})
    assert [(run.id, run.deployment, run.by_event, run.has_ended) for run in runs.all()] == [
        ("r-2", "dead-letters/by-hand", False, True),
        ("r-3", "dead-letters/by-hand", True, True),
    ]


# -- the relay -----------------------------------------------------------------------------------------------------


def test_a_demo_without_its_relay_says_so(world: World) -> None:
    """No event would start anything: the demo ends with the relay's own last words, and does not wait for nothing."""
    (world.folder / stage.RELAY_LOG).write_text("relay: REPRISE_EVENTS_QUEUE_URL is not set")
    with pytest.raises(DemoFailed, match=r"relay\) is not running.*\nrelay: REPRISE_EVENTS_QUEUE_URL"):
        stage.require_relay(world)


def test_what_the_server_refuses_is_not_repeated(server: Server, runs: Runs) -> None:
    """A deployment that does not exist is an error at once, with the server's own words."""
    with pytest.raises(Refused, match="Deployment not found"):
        runs.start("dead-letters/missing", {})
    assert len(server.asked) == 1
