"""Folders for a while: gone when they are left; those of a killed process go when another one makes one.

Whoever has one holds its lock, which the kernel drops with the process, however that ends.
"""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

_PREFIX = "ccsight-scratch-"
#: Between being made and being locked a folder looks like a dead one's; nobody takes so many seconds.
_YOUNG = 60


class Scratch(TemporaryDirectory[str]):
    """A temporary folder that outlives its process only until the next one is made."""

    def __init__(self) -> None:
        _sweep(Path(gettempdir()))
        super().__init__(prefix=_PREFIX)
        self._lock = os.open(self.name, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # no locks on this file system: then nobody sweeps there, either
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def cleanup(self) -> None:
        """Remove the folder, and let go of its lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        super().cleanup()


def _sweep(place: Path) -> None:
    """Remove what killed processes of ours have left in a folder."""
    for path in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if _is_dead(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_dead(path: Path) -> bool:
    """Tell whether nobody holds a folder's lock. Raises OSError where that cannot be known."""
    about = path.lstat()
    if about.st_uid != os.geteuid() or time.time() - about.st_mtime < _YOUNG:
        return False
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(lock)
    return True
