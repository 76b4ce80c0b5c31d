"""A page of another origin starts, changes and reads nothing, even on a server without a password; ours do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from deployments.login import SIGN_IN, draw
from deployments.prefect_server import PrefectServer, prefect_server
from tests.browser.chromium import FOREIGN, Page
from tests.prefect_home import prepare
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)

ATTACK = """(async () => {
    const api = %(api)s, deployment = %(deployment)s;
    const tried = async (name, work) => {
        try {
            // 503: SQLite was busy, and says so; the page's own client asks again, too.
            for (let asked = 0; asked < 10; asked++) {
                const result = await work();
                if (result !== 503) return [name, result];
            }
            return [name, 503];
        } catch (error) { return [name, 'refused']; }
    };
    const json = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
    const start = `${api}/deployments/${deployment}/create_flow_run`;
    const socket = () => new Promise((done, fail) => {
        const made = new WebSocket(`${api.replace('http', 'ws')}/events/in`);
        made.onopen = () => done('open');
        made.onerror = fail;
    });
    const form = () => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.name = 'elsewhere';
        document.body.append(frame);
        const made = document.createElement('form');
        Object.assign(made, { action: start, method: 'POST', enctype: 'text/plain', target: 'elsewhere' });
        const field = document.createElement('input');
        Object.assign(field, { name: '{"name": "by-form', value: '"}' });
        made.append(field);
        document.body.append(made);
        frame.onload = () => done('sent');
        made.submit();
    });
    return Object.fromEntries([
        await tried('read', async () => (await fetch(`${api}/admin/settings`)).status),
        await tried('list', async () => (await fetch(`${api}/flows/filter`, { ...json, body: '{}' })).status),
        await tried('start', async () => (await fetch(start, { ...json, body: '{}' })).status),
        await tried('start without asking', async () => {
            const body = new Blob(['{}']);
            return (await fetch(start, { method: 'POST', mode: 'no-cors', body })).type;
        }),
        await tried('start by a form', form),
        await tried('change', async () => (await fetch(`${api}/deployments/${deployment}`,
            { ...json, method: 'PATCH', body: '{"paused": true}' })).status),
        await tried('delete', async () => (await fetch(`${api}/deployments/${deployment}`,
            { method: 'DELETE' })).status),
        await tried('send events', socket),
    ]);
})()"""


@dataclass(frozen=True)
class Target:
    """A server with one deployment.

    Attributes:
        server: without a password: only the door protects it.
        deployment: its id.
    """

    server: PrefectServer
    deployment: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of its API to a program that is no browser; it is asked again while SQLite is busy."""

        def answered() -> httpx.Response | None:
            answer = httpx.request(method, f"{self.server.api_url}/{path}", json=body, timeout=60, trust_env=False)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        found: httpx.Response = wait_for("the server's answer", answered, seconds=60)
        found.raise_for_status()
        return found.json()

    def attack(self, page: Page, api: str) -> dict[str, Any]:
        """Results of what the open page tries."""
        done = page.evaluate(ATTACK % {"api": json.dumps(api), "deployment": json.dumps(self.deployment)})
        return dict(done)


@pytest.fixture(scope="module")
def target(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server, for all tests of this module."""
    assert page
    with prefect_server(prepare(tmp_path_factory.mktemp("target"))) as server:
        made = Target(server, "")
        flow = made.ask("POST", "flows/", {"name": "anything"})
        deployment = made.ask("POST", "deployments/", {"name": "anything", "flow_id": flow["id"]})
        yield Target(server, deployment["id"])


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a web server of somebody else's, with one empty page."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body>a page of somebody else's</body>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", FOREIGN])
def test_a_page_of_another_origin_starts_changes_and_reads_nothing(
    target: Target, page: Page, elsewhere: int, host: str
) -> None:
    """A page of this machine's own other ports, and one of the wide world. (What `no-cors` sent looks the same to the
    page whether it was refused or not: the server knows.)"""
    page.open(f"http://{host}:{elsewhere}/", "a page of somebody else's")
    tried = target.attack(page, target.server.api_url)
    for name in ("read", "list", "start", "change", "delete", "send events"):
        assert tried[name] == "refused", tried
    _untouched(target)


def test_a_name_that_was_rebound_to_this_machine_opens_nothing(target: Target, page: Page) -> None:
    """To the browser, the attacker's page and the server are one origin then."""
    port = httpx.URL(target.server.ui_url).port
    page.open(f"http://{FOREIGN}:{port}/", "is not a name of this server")
    tried = target.attack(page, f"http://{FOREIGN}:{port}/api")
    assert {tried[name] for name in ("read", "list", "start", "change", "delete")} == {421}
    assert tried["send events"] == "refused"
    _untouched(target)


def test_another_page_does_not_show_ours_in_a_frame(target: Target, page: Page, elsewhere: int) -> None:
    """So nobody clicks on what he cannot see."""
    page.open(f"http://127.0.0.1:{elsewhere}/", "a page of somebody else's")
    frame = f"""(async () => {{
        const frame = document.createElement('iframe');
        frame.src = {json.dumps(target.server.ui_url)};
        document.body.append(frame);
        await new Promise(done => {{ frame.onload = done; }});
        return frame.contentDocument === null;
    }})()"""
    framed = page.evaluate(frame)
    # An error page in the frame is of another origin, and so is ours: the answer's own header shows them apart.
    assert framed
    headers = httpx.get(f"{target.server.ui_url}/v2/dashboard", trust_env=False).headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_our_own_pages_do_all_that(target: Target, page: Page, host: str) -> None:
    """Under both names that a person types, although the pages use one of them for the API: the same script works."""
    port = httpx.URL(target.server.ui_url).port
    flow = target.ask("GET", "flows/name/anything")
    mine = target.ask("POST", "deployments/", {"name": f"of-{host}", "flow_id": flow["id"]})
    page.open(f"http://{host}:{port}/v2/dashboard", "Work Pools")
    tried = Target(target.server, mine["id"]).attack(page, target.server.api_url)
    assert {name: tried[name] for name in ("read", "list", "start", "change", "delete", "send events")} == {
        "read": 200,
        "list": 200,
        "start": 201,
        "change": 204,
        "delete": 204,
        "send events": "open",
    }


def test_a_request_that_needs_no_permission_starts_a_run_when_nobody_stands_at_the_door(
    target: Target, page: Page
) -> None:
    """CORS lets it through: from our own page it works, so the server would have carried it out for others too."""
    flow = target.ask("GET", "flows/name/anything")
    mine = target.ask("POST", "deployments/", {"name": "simple", "flow_id": flow["id"]})
    page.open(f"{target.server.ui_url}/v2/dashboard", "Work Pools")
    page.evaluate(
        f"""fetch("{target.server.api_url}/deployments/{mine["id"]}/create_flow_run",
            {{ method: 'POST', mode: 'no-cors', body: new Blob(['{{}}']) }}).then(answer => answer.type)"""
    )
    assert target.ask("POST", "flow_runs/filter", {"deployments": {"id": {"any_": [mine["id"]]}}})


def test_the_printed_link_lets_a_browser_in(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With it the pages show runs; a link with another password says so, and the pages ask for one."""
    with prefect_server(prepare(tmp_path_factory.mktemp("guarded")), auth=draw()) as server:
        assert httpx.get(f"{server.api_url}/admin/version", trust_env=False).status_code == 401
        page.open(f"{server.ui_url}{SIGN_IN}#bm86bm8=", "does not let you in")
        page.open(f"{server.ui_url}/v2/runs", "Login")
        page.open(server.sign_in_url, "Work Pools")
        assert "#" not in str(page.evaluate("location.href"))


def _untouched(target: Target) -> None:
    there = target.ask("GET", f"deployments/{target.deployment}")
    assert not there["paused"]
    assert not target.ask("POST", "flow_runs/filter", {"deployments": {"id": {"any_": [target.deployment]}}})
