"""Fixtures that several unit tests share."""

from tiny_archive import archive, key, server

__all__ = ["archive", "key", "server"]
