"""Connecting an inbox, and letting it go."""
