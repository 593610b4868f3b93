"""This system as a host."""

import pytest
from host_conformance import HoldingConformance, HostConformance

from ccsight.machines.local import LocalHost


class TestLocalHost(HostConformance, HoldingConformance):
    @pytest.fixture
    def host(self):
        return LocalHost()
