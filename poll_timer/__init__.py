"""Timers: polls that are due, housekeeping."""
