"""Entra and the managed-identity endpoint."""
