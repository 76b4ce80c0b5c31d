"""What failed work is, why it failed and how it comes back. No Prefect anywhere below this package."""
