"""Siftrock Inbox Connector: the program itself, which knows nothing of Azure Functions.

A package a feature: `connect` ties an inbox to an account, `sync` moves its mail, `push` and `schedule` wake it.
Each sees services through the ports in its `ports.py`; `adapters` has all that knows a service, and `bootstrap` puts
the two together. docs/architecture.md has the tour, a reading order, and what the words mean.
"""
