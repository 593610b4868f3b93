"""``image:FILE``: a kernel that the user has built or fetched. The file is used where it lies.

Only a compressed one is copied: unpacked, into the cache.
"""

import hashlib
from pathlib import Path

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import image, stored
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.store import entry
from ccsight.toolbox import tools


def resolve(spec: Spec, deadline: Deadline, report: tools.Report) -> Kernel:
    """Return the kernel in a file. Raises UsageError when it is none, or has no such modules."""
    path = Path(spec.value).expanduser().absolute()
    if not path.is_file():
        raise UsageError(
            f"{spec.value} is not a file", next_step="image:FILE, for example arch/arm64/boot/Image"
        )
    modules = spec.option("modules")
    return in_file(spec, path, Path(modules).expanduser() if modules else None, deadline, report)


def in_file(spec: Spec, path: Path, modules: Path | None, deadline: Deadline, report: tools.Report) -> Kernel:
    """Return the kernel in a file under the name of a spec of any kind; its modules lie below ``modules``.

    Raises UsageError when the file is none, or there are no such modules.
    """
    place = entry("images", _identity(path), lambda folder: _fill(folder, path, report), deadline)
    return stored.kernel(spec, place, _modules(modules, place) if modules else None)


def pin(kernel: Kernel) -> str:
    """Return the spec with its paths made absolute: what the file holds is compared by its hash."""
    options = tuple(
        (key, str(Path(value).expanduser().absolute()) if key == "modules" else value)
        for key, value in kernel.spec.options
    )
    return specs.render("image", str(Path(kernel.spec.value).expanduser().absolute()), options)


def _identity(path: Path) -> str:
    """Return a name for a file's present content that costs no reading of it."""
    about = path.stat()
    told = f"{path}\0{about.st_size}\0{about.st_mtime_ns}\0{about.st_ino}"
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _fill(folder: Path, path: Path, report: tools.Report) -> None:
    if image.is_packed(path):
        report(f"unpacking {path}")
        (folder / "Image").write_bytes(image.unpacked(path))
        stored.write(folder, folder / "Image")
    else:
        stored.write(folder, path)


def _modules(folder: Path, place: Path) -> Path:
    """Find the modules of the kernel in ``place`` below a folder, as INSTALL_MOD_PATH lays it out."""
    release = stored.read(place).release
    for inner in ("", release, f"lib/modules/{release}"):
        if (folder / inner / "kernel").is_dir():
            return (folder / inner).absolute()
    raise UsageError(
        f"{folder} holds no modules of {release}",
        evidence=f"neither kernel/ nor {release}/kernel/ nor lib/modules/{release}/kernel/ is there",
        next_step="make modules_install INSTALL_MOD_PATH=DIR, then modules=DIR",
    )
