"""HTTP: /connect, /auth/callback and their pages."""
