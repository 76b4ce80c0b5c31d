"""Histories of single items, and the list of those that wait for a person, from ledger, archive and outbox tables."""
