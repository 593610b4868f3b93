"""What a kernel is to the rest of the tree: an Image, its modules, and how to recognise it when it runs."""

from dataclasses import dataclass
from pathlib import Path

from ccsight.evidence.model import BuildFacts, Package
from ccsight.specs import Spec


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted.

    ``image`` is an uncompressed arm64 Image. ``modules`` is the folder that holds ``kernel/…/*.ko[.xz]``
    (``lib/modules/RELEASE``), or None for a kernel without any. ``build_ids`` are the GNU build-ids
    (hex) found in the image: the running kernel's must be one of them. ``append`` goes to the end of
    its command line. ``banner`` is the image's ``Linux version …`` line. ``hardware_module`` is
    our kernel module (``guests/module/``) as built for this very kernel, None for kernels that were not built
    here, and for those that it does not fit.
    """

    spec: Spec
    label: str
    release: str
    image: Path
    image_sha256: str
    build_ids: frozenset[str]
    modules: Path | None = None
    packages: tuple[Package, ...] = ()
    build: BuildFacts | None = None
    append: str = ""
    banner: str = ""
    hardware_module: Path | None = None
