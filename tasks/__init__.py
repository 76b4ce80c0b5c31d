"""VERBS: Prefect tasks. Each is one batch-sized read or side effect; what they do stands in `recovery/`."""
