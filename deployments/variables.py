"""`reprise variables STACK`: the REPRISE_* variables of an estate's stack, for a shell.

    eval "$(reprise variables reprise)"

An output named RepriseLedgerTable is the variable REPRISE_LEDGER_TABLE. Region and credentials are boto3's own.
"""

from __future__ import annotations

import re
import shlex
import sys

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


def main(stack: str) -> int:
    """Print the REPRISE_* variables of an estate's stack, as lines that a shell can evaluate.

    Args:
        stack: name of the CloudFormation stack of deployments/cloudformation/estate.yaml.

    Returns:
        The exit status.
    """
    try:
        found = variables(stack)
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in sorted(found.items()):
        print(f"export {name}={shlex.quote(value)}")
    return 0
