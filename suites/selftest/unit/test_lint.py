"""Style, types and layers are tests like any other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ccsight.paths import cache_dir

TOP = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "argv",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    ],
    ids=" ".join,
)
def test_the_tree_is_clean(argv):
    # Where there is a clone for each run, types are none the less asked only of what has changed.
    env = os.environ | {"MYPY_CACHE_DIR": str(cache_dir() / "mypy")}
    done = subprocess.run(
        [BIN / argv[0], *argv[1:]], cwd=TOP, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
