"""WHERE recovery works: Prefect blocks. `prefect block register -m blocks` registers them."""

from blocks.estate import RecoveryEstate

__all__ = ["RecoveryEstate"]
