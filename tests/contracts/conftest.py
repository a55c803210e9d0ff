"""The stand-in for Microsoft 365, for the suites that run on real adapters too."""

from tests.sandbox.conftest import browser, microsoft365, signing_key, stand_in, tls_files, world

__all__ = ["browser", "microsoft365", "signing_key", "stand_in", "tls_files", "world"]
