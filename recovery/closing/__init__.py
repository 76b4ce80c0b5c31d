"""Ending what waits for a person: dismissed, resolved or snoozed, with a name and a reason, and undone the same way."""
