"""A stand-in for Microsoft 365: Entra, the managed-identity endpoint, Microsoft Graph and Key Vault.

It is strict: where the documents name a limit or an error it keeps to them, and where they are silent it
takes the harsher reading.
"""
