"""`python -m deployments.variables STACK`: the REPRISE_* variables of an estate's stack, for a shell.

    eval "$(python -m deployments.variables reprise)"

An output named RepriseLedgerTable is the variable REPRISE_LEDGER_TABLE. Region and credentials are boto3's own.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

import boto3

from recovery.aws import calling, client_config
from recovery.errors import RepriseError


def variables(stack: str) -> dict[str, str]:
    """The variables by name.

    Args:
        stack: the stack's name.

    Raises:
        Refused: there is no such stack, or it may not be read.
        Transient: CloudFormation does not answer.
    """
    with calling("cloudformation:DescribeStacks"):
        client = boto3.client("cloudformation", config=client_config(repeat=True))
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", output["OutputKey"]).upper(): output["OutputValue"]
        for output in described.get("Outputs", [])
        if output["OutputKey"].startswith("Reprise")
    }


def main(arguments: Sequence[str]) -> int:
    """Print the lines; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m deployments.variables STACK", file=sys.stderr)
        return 2
    try:
        found = variables(arguments[0])
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in sorted(found.items()):
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
