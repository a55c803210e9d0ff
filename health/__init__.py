"""HTTP: /health."""
