"""HTTP: /graph/notifications and /graph/lifecycle, where Microsoft Graph calls."""
