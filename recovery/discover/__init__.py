"""Every dead-letter queue of an account: its sources and consumers, where its evidence is, and faults of its set-up."""
