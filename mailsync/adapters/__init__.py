"""What the ports are in the world: one file each. Nothing else imports an SDK."""
