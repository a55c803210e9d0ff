"""The stand-in for Microsoft 365, for the tests on real adapters."""

from tests.sandbox.conftest import microsoft365, signing_key, stand_in, tls_files, world

__all__ = ["microsoft365", "signing_key", "stand_in", "tls_files", "world"]
