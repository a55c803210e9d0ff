"""Siftrock Inbox Connector: the program itself, free of any Functions or SDK type.

`connect` ties an inbox to an account, `sync` moves its mail, `poll` wakes what is due.
They see the ports of `ports`; `bootstrap` gives them the adapters.
"""
