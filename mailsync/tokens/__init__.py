"""Access to mailboxes: access tokens in memory, refresh tokens in the vault."""
