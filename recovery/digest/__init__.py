"""The day book, into which each run writes its work, and the daily digest that is made from it."""
