"""One VM for all tests of the VM: compiled code is shared, which is what it is for."""

import pytest
from hither_native import Vm


@pytest.fixture(scope="session")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Vm:
    """A VM with a cache of its own."""
    return Vm(str(tmp_path_factory.mktemp("vm")))
