"""The record of a mailbox, the hold on it, and how it is shown."""
