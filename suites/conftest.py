"""What is too long for any push runs only when it is asked for by its marker's name."""

import os
import sys

from ccsight.paths import cache_dir

# Tests start Python often. Where it leaves nothing beside the sources, what it compiles is kept elsewhere.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(cache_dir() / "python")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(config, items):
    """Leave the tests of ``matrix`` out, whatever else -m selects, unless its expression names them."""
    if "matrix" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("matrix")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
