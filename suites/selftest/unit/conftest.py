"""Fixtures that several unit tests share, and how values are drawn at random in all of them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tiny_archive import archive, key, server

__all__ = ["archive", "key", "server"]

# No test asserts a time, not even that of drawing a value: machines are slow now and then. What a fixture of
# a function makes for all the values of a test are programs and folders, which no value changes.
settings.register_profile(
    "ccsight",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ccsight")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own: what ``$XDG_CACHE_HOME`` names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
