"""The day book, into which each run writes what it did, and the daily digest that is told from it."""
