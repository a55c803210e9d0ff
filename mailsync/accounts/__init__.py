"""Who may connect what."""
