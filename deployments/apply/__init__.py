"""What a Prefect server must know before Reprise runs on it: looked at, compared, and brought up to date."""
