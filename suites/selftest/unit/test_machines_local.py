"""This system as a host."""

import pytest
from host_conformance import HostConformance

from ccsight.machines.local import LocalHost


class TestLocalHost(HostConformance):
    @pytest.fixture
    def host(self):
        return LocalHost()
