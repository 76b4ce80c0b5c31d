"""What happened to one failed item, and which items wait for a person: told from ledger, archive and outbox tables."""
