"""Fixtures that several unit tests share, and how values are drawn at random in all of them."""

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
