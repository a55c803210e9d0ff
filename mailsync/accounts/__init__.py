"""Siftrock accounts, and which inboxes each of them admits."""
