"""`reprise apply`: bring a Prefect server up to date for Reprise, or show the differences.

Work pool, the estate's block (or its type, where nothing names an estate), notification blocks, the deployments of
`prefect.yaml`, and the automations that no deployment owns, each found by its name. A second time nothing is changed.
A person's changes on the server stay: pauses, switched-off schedules, triggers and automations, the pool's limit,
and the parameters of deployments.

Exit status: 0 when everything is (now) as it should be; 1 when --check found a difference, or something is wrong that
applying does not fix; 2 when it could not be done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from deployments.prefect_http import prefect_client, untrusted
from deployments.prefect_settings import require_server
from recovery import settings
from recovery.errors import BadInput, RepriseError, Transient


@dataclass
class Outcome:
    """Findings of one apply.

    Attributes:
        changes: the differences, in lines for a person.
        problems: troubles that applying does not fix.
        notes: facts for a person.
    """

    changes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def reach(api_url: str) -> None:
    """Make sure that the server answers and lets us in, by the settings that Prefect's own client uses.

    Raises:
        Transient: nobody answers at the address.
        BadInput: the server asks for a password that we do not have, or it is something else than a Prefect server.
    """
    try:
        with prefect_client(api_url.rstrip("/"), timeout=httpx.Timeout(30)) as client:
            answer = client.get("/admin/version")
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Transient(
            f"the Prefect server at {api_url} does not answer ({error}). "
            f"{untrusted(error) or 'Is it running, and is PREFECT_API_URL right?'}"
        ) from error
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise BadInput(
            f"the Prefect server at {api_url} asks for a password: set PREFECT_API_AUTH_STRING to its user:password "
            '(eval "$(reprise login)" does so for the server of this checkout)'
        )
    if not answer.is_success:
        raise BadInput(f"what answers at {api_url} is no Prefect server: HTTP {answer.status_code} for /admin/version")


def apply(
    environment: Mapping[str, str], *, check: bool, overwrite: bool = False, template: str = "", estate: bool = False
) -> Outcome:
    """Compare, and unless `check`, bring up to date.

    Args:
        environment: the variables that name estate and channels.
        check: change nothing.
        overwrite: take the parameters of `prefect.yaml` even where a person has set others.
        template: file of the work pool's job template; the process template when empty.
        estate: let the saved block point at another ledger, archive or alert topic.

    Raises:
        RepriseError: it could not be done.
    """
    # Only now: Prefect reads its settings when it is imported, and says a lot when it cannot.
    from prefect.client.orchestration import get_client

    from deployments.apply import (
        automations,
        channels,
        condition,
        outward,
        pool,
        registered,
        registration,
        saved_estate,
    )

    outcome = Outcome()

    def note(changes: Sequence[object]) -> bool:
        outcome.changes += [line for change in changes for line in change.lines()]  # type: ignore[attr-defined]
        return bool(changes) and not check

    deployments = registered.of_the_file()
    flows = {deployment.flow for deployment in deployments} - {"operations"}
    with get_client(sync_client=True) as client:
        wanted_pool = pool.wanted(client, template)
        if note(pool.changes(client, wanted_pool)):
            pool.make(client, wanted_pool)
        moved = [] if estate else saved_estate.moved(environment)
        outcome.problems += moved
        if not moved and note(saved_estate.changes(environment)):
            saved_estate.make(environment)
        outcome.problems += saved_estate.missing(environment)
        if note(channels.changes(environment)):
            channels.make(environment)
        now = registered.snapshot(client, deployments)
        different = registered.changes(client, deployments, now, overwrite=overwrite)
        if note(different):
            registration.make(client, deployments, different, overwrite=overwrite)
            now = registered.snapshot(client, deployments)
        outcome.notes += registered.notes(client, deployments, now, pool.NAME)
        notify = now.get("operations/notify")
        heard = channels.saved(channels.Use.OPERATIONS)
        wanted = [
            *automations.wanted(flows, notify.id if notify else registered.NOBODY, list(heard.values())),
            *outward.wanted(
                channels.saved(channels.Use.OPENED),
                channels.saved(channels.Use.ENDED),
                outward.routes(settings.read("REPRISE_NOTIFY_ROUTES", environment), channels.ROUTED),
            ),
        ]
        if note(automations.changes(client, wanted)):
            automations.make(client, wanted)
        outcome.problems += [*registered.surplus(client, deployments, now), *automations.surplus(client, wanted)]
        outcome.problems += condition.occupied_slots(client, now)
        outcome.problems += condition.runs_without_a_process(client, pool.NAME)
    look_at_estate(outcome, environment)
    return outcome


def look_at_estate(outcome: Outcome, environment: Mapping[str, str]) -> None:
    """Add what is wrong with the estate itself: a part that does not answer, an alert topic without subscribers.

    Args:
        outcome: takes the lines.
        environment: the variables that name the estate.
    """
    from deployments.apply import condition, saved_estate
    from deployments.subscribers import nobody_subscribed

    connection = saved_estate.connection(environment)
    if connection is None:
        return
    silent = condition.estate_answers(connection)
    outcome.problems += silent
    if not silent and (nobody := nobody_subscribed(connection)):
        outcome.notes.append(nobody)


def main(
    *, check: bool = False, overwrite_parameters: bool = False, job_template: str = "", estate: bool = False
) -> int:
    """Bring the Prefect server at PREFECT_API_URL up to date for Reprise, or show what differs.

    Args:
        check: change nothing; print the differences, and exit with 1 when there are any.
        overwrite_parameters: take the parameters of prefect.yaml even where a person has set others.
        job_template: file of the work pool's job template, one of deployments/work_pools/*.json.
        estate: let the saved estate block point at another ledger, archive or alert topic.

    Returns:
        The exit status.
    """
    try:
        api_url = require_server()
        reach(api_url)
        outcome = apply(os.environ, check=check, overwrite=overwrite_parameters, template=job_template, estate=estate)
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 2
    except Exception as error:
        if not _of_the_server(error):
            raise
        print(
            f"the Prefect server at {api_url} did not do what was asked: {error}{_key_changed(error)}", file=sys.stderr
        )
        return 2
    for line in outcome.changes:
        print(line)
    for line in outcome.notes:
        print(f"note: {line}")
    for line in outcome.problems:
        print(f"problem: {line}", file=sys.stderr)
    if check:
        print("different" if outcome.changes else "nothing differs", f"on {api_url}")
        return 1 if outcome.changes or outcome.problems else 0
    print("applied" if outcome.changes else "nothing to change", f"on {api_url}")
    return 1 if outcome.problems else 0


def _key_changed(error: Exception) -> str:
    """The remedy where the server fails to read a saved block: most likely its encryption key is another one."""
    if not isinstance(error, httpx.HTTPStatusError):
        return ""
    failed = error.response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    if not failed or "/block_documents/" not in str(error.request.url):
        return ""
    return (
        "\nThe server cannot read a saved block. If PREFECT_SERVER_ENCRYPTION_KEY was changed, give it the former value"
        " and restart the server, then change it in the order of docs/operations.md (Changing keys and passwords)"
    )


def _of_the_server(error: Exception) -> bool:
    from prefect.exceptions import PrefectException

    return isinstance(error, httpx.HTTPError | PrefectException)
