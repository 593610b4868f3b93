"""Where things lie on this system: the cache, and the data files that travel with the package."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return ccsight's folder in the XDG cache directory; it may be emptied at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ccsight"


def data_dir(name: str) -> Path:
    """Return ``guests``, ``kconfigs`` or ``suites``: from the wheel, or from the clone."""
    package = Path(__file__).parent
    packed = package / "data" / name
    return packed if packed.is_dir() else package.parent.parent / name
