from tests.e2e.conftest import _environment, _running, product, sandbox

__all__ = ["_environment", "_running", "product", "sandbox"]
