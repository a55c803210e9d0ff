"""Queue: one mailbox's mail, and what became of hints that failed for good."""
