"""Graph's notifications: subscriptions, clientState, the webhook's work."""
