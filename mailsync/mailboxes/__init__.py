"""The record of a mailbox and its status."""
