"""Keeping access."""
