"""Rubbish: mutated real events, letters, rows, API answers, failure texts and requests. See docs/proof.md."""
