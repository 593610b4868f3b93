"""Style, types and layers are tests like any other."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    done = subprocess.run(
        [BIN / argv[0], *argv[1:]], cwd=TOP, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
