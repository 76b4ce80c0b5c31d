"""Rubbish: mutated real events, messages, rows, API answers, failure texts and requests. See docs/proof.md."""
