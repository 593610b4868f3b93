"""A kernel in the cache: its Image, its modules, our own one, and a ``kernel.json`` that says who it is."""

import shlex
from pathlib import Path

import msgspec
from msgspec import structs

from ccsight.errors import InfraError, reason
from ccsight.evidence.model import BuildFacts, Package
from ccsight.kernels import image
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.store import write_atomically

ABOUT = "kernel.json"
#: The store's folder of kernels that were built here.
BUILT = "built"


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of ``kernel.json``. Paths are relative to its folder; an absolute one is the user's."""

    release: str
    banner: str
    image: str
    image_sha256: str
    build_ids: tuple[str, ...]
    modules: str = ""
    packages: tuple[Package, ...] = ()
    build: BuildFacts | None = None
    hardware_module: str = ""


def write(folder: Path, path: Path, modules: str = "", packages: tuple[Package, ...] = ()) -> None:
    """Identify the Image at ``path`` and write the ``kernel.json`` of a folder."""
    _write(folder, identified(folder, path, modules, packages))


def write_built(folder: Path, build_id: str, build: BuildFacts, modules: str, module: str) -> None:
    """Write the ``kernel.json`` of a kernel that was built here, whose build-id is known from its vmlinux.

    ``modules`` is the name of the folder of its own modules, ``module`` that of ours; "" when there is none.
    """
    about = identified(folder, folder / "Image", modules)
    _write(folder, structs.replace(about, build_ids=(build_id,), build=build, hardware_module=module))


def identified(folder: Path, path: Path, modules: str = "", packages: tuple[Package, ...] = ()) -> Stored:
    """Return what an Image says of itself, for the ``kernel.json`` of a folder."""
    who = image.identify(path)
    return Stored(
        release=who.release,
        banner=who.banner,
        image=str(path.relative_to(folder) if path.is_relative_to(folder) else path),
        image_sha256=who.sha256,
        build_ids=tuple(sorted(who.build_ids)),
        modules=modules,
        packages=packages,
    )


def _write(folder: Path, about: Stored) -> None:
    write_atomically(folder / ABOUT, msgspec.json.format(msgspec.json.encode(about), indent=2))


def read(folder: Path) -> Stored:
    """Return the ``kernel.json`` of a folder. Raises InfraError when it is not of this ccsight."""
    try:
        return msgspec.json.decode((folder / ABOUT).read_bytes(), type=Stored)
    except (OSError, msgspec.MsgspecError) as error:
        raise InfraError(
            f"the store's {folder.name} cannot be read",
            evidence=reason(error),
            next_step=f"remove it, and it is made anew: rm -r {shlex.quote(str(folder))}",
        ) from error


def kernel(spec: Spec, folder: Path, modules: Path | None = None) -> Kernel:
    """Return the kernel of a folder under the name of the spec that asked for it."""
    about = read(folder)
    return Kernel(
        spec=spec,
        label=spec.option("name") or spec.text,
        release=about.release,
        banner=about.banner,
        image=folder / about.image,
        image_sha256=about.image_sha256,
        build_ids=frozenset(about.build_ids),
        modules=modules or (folder / about.modules if about.modules else None),
        packages=about.packages,
        build=about.build,
        append=" ".join(spec.all("append")),
        hardware_module=folder / about.hardware_module if about.hardware_module else None,
    )
