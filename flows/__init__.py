"""STORIES: one flow for each way back. No AWS calls and no decisions stand here."""
