"""Everything that a Prefect server needs for Reprise: read, compared, and brought up to date."""

POOL = "reprise"
"""The work pool's name. It stands here for those who must not import Prefect, which reads its settings at that."""
