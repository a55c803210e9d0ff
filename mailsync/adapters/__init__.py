"""The ports over real services, a package for each: Graph, Entra, Key Vault, Storage. Nothing else imports an SDK.

The files at the top are for several of them: HTTP, the Azure SDK, the app's identity, JSON that others wrote.
"""
