"""Pure parts of the outbox path."""
