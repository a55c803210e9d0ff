"""Moves mail from Graph to the table."""
