"""HTTP: the management routes under /api/, for the operator."""
