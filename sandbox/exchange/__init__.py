"""Exchange Online: mailboxes and what mail becomes in them."""
