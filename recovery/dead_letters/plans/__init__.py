"""Plans: archived messages that a person chose, frozen as a set, and sent back exactly so, a few at first."""
