"""The configuration that a planned kernel was built with, as the store has it. Nothing is fetched."""

from pathlib import Path

from ccsight.evidence.plan import PlannedKernel
from ccsight.kernels import stored
from ccsight.paths import cache_dir

#: Beside the Image of a kernel that was built here: the final .config.
_CONFIG = "config"


def config_of(planned: PlannedKernel) -> Path | None:
    """Return where the .config of a kernel lies, None for one that was not built here, or is gone."""
    kind, _, rest = planned.pin.partition(":")
    path = cache_dir() / stored.BUILT / Path(rest.partition(",")[0]).name / _CONFIG
    return path if kind == stored.BUILT and path.is_file() else None
