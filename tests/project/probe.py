"""The smallest flow, for a worker to find by its module's name."""

from prefect import flow


@flow
def probe(reason: str) -> str:
    """Give back why it was started."""
    return reason
