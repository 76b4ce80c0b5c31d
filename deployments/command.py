"""`reprise`: one command, with a sub-command for each thing that a person types.

Each sub-command is named by its module and loaded when it is asked for, so that a missing setting is reported before
Prefect and boto3 take their seconds. `aws` and `demo` stand beside the product: an image need not hold them.

Exit status: 0 when all is well, 1 when something is not, 2 for input that cannot be used, else what the command says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

from deployments import cases, messages, plans, sample
from recovery.errors import BadInput, RepriseError

COMMANDS = {
    "apply": ("deployments.apply.__main__:main", "Bring a Prefect server up to date, or show the differences."),
    "server": ("deployments.server:main", "Start the Prefect server."),
    "login": ("deployments.login:main", "Print the lines that let a shell in to this checkout's server."),
    "worker": ("deployments.worker:main", "Start a worker for the Prefect server at PREFECT_API_URL."),
    "relay": ("relay.__main__:main", "Turn AWS's events into Prefect's, until SIGTERM or Ctrl-C."),
    "discover": ("deployments.discover:main", "List dead-letter queues: sources, logs, alarms, faults, and a policy."),
    "smoke": (
        "deployments.smoke:main",
        "Send marked failures through the dead-letter path, and run the other paths dry.",
    ),
    "rebuild": ("deployments.rebuild:main", "Make the cases of archived messages that a restored ledger lacks."),
    "variables": ("deployments.variables:main", "Print the REPRISE_* variables of an estate's stack for a shell."),
    "aws": ("simulated_aws.__main__:main", "Start the simulated AWS with its estate, until Ctrl-C."),
    "demo": ("demo.__main__:main", "Play failing work that recovers, on this machine alone."),
    "diagnose": ("recovery.failures.__main__:main", "Say why each failure of a JSON-lines file happened."),
}
"""Module and function of each sub-command, and the line that `--help` shows."""

OURS = ("flows", "tasks", "blocks", "recovery", "relay", "deployments")
"""Folders that are imported by these names, whatever else is installed beside them."""


def application() -> App:
    """Return the command with all of its sub-commands."""
    app = App(
        name="reprise",
        help="Failed AWS work comes back, or is parked safely and a person is notified.",
        version=version("reprise"),
        default_parameter=Parameter(negative=()),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        help_on_error=False,
        help_format="plaintext",
    )
    _add(app, COMMANDS)
    for group in (cases, plans, messages, sample):
        part = App(name=group.__name__.rpartition(".")[2], help=group.HELP)
        _add(part, group.COMMANDS)
        app.command(part)
    return app


def _add(app: App, commands: Mapping[str, tuple[str, str]]) -> None:
    for name, (target, line) in commands.items():
        app.command(target, name=name, help=line)


def require_our_folders() -> None:
    """Make sure that nobody else's package stands in the place of one of ours.

    Raises:
        BadInput: one does; nothing of it was imported.
    """
    home = Path(__file__).resolve().parents[1]
    for name in OURS:
        found = find_spec(name)
        origin = Path(found.origin) if found and found.origin else None
        if origin is None or home not in origin.resolve().parents:
            taken = f"the name `{name}` is taken by {origin or 'something else'}"
            raise BadInput(f"{taken}: install Reprise in an environment of its own")


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; bad input is one line on standard error.

    Args:
        arguments: the words behind `reprise`.

    Returns:
        The exit status.
    """
    try:
        require_our_folders()
        return int(application()(list(arguments)) or 0)
    except CycloptsError as error:
        print(f"reprise: {' '.join(str(error).split())}", file=sys.stderr)
    except RepriseError as error:
        print(f"reprise {' '.join(arguments[:1])}: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name not in ("simulated_aws", "demo", "ministack"):
            raise
        print(
            f"reprise {arguments[0]}: {error.name} is not installed here: pip install 'reprise[local]'", file=sys.stderr
        )
    return 2


def main() -> None:
    """Carry out the command line of this process, and end with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
