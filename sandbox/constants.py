"""The identities of the sandbox, fixed so that a developer recognises them. None of them is a secret."""

HOME_TENANT_ID = "11111111-1111-4111-8111-111111111111"
"""The tenant in which the app is registered and the managed identity lives."""

APP_CLIENT_ID = "22222222-2222-4222-8222-222222222222"
"""The app registration's application (client) id."""

MANAGED_IDENTITY_CLIENT_ID = "33333333-3333-4333-8333-333333333333"
"""The user-assigned managed identity's client id."""

MANAGED_IDENTITY_PRINCIPAL_ID = "44444444-4444-4444-8444-444444444444"
"""The managed identity's object id: the subject of the app's federated credential."""

IDENTITY_HEADER = "sandbox"
"""What the App Service managed-identity endpoint expects in X-IDENTITY-HEADER."""

CONSUMER_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal Microsoft accounts, as in the real service."""

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph's own application id, as in the real service."""
