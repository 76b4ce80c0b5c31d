"""Failed work: its evidence, its causes and its way back. No Prefect anywhere below this package."""
