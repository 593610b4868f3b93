"""A small run's folder, the bundle of it, and archives that nobody should have made."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from report_samples import result_of, sample

from ccsight.evidence.bundle import Bundle, files_of, manifest, pack
from ccsight.evidence.manifest import MANIFEST, Manifest, Member, manifest_of
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run

MACHINE, KERNELS = "emulated:neoverse-n1", ("deb:6.1", "deb:6.12")
EPOCH = (1980, 1, 1, 0, 0, 0)
PLAIN = 0o100644 << 16

#: A member of a made archive: its name, its content, and what else is done to it.
Odd = tuple[str, bytes, Callable[[zipfile.ZipInfo], None]]


def run_in(results: Path) -> Run:
    """Write a run of two cells, with streams, a saved state, and consoles."""
    result = result_of([sample(MACHINE, kernel) for kernel in KERNELS])
    run = Run.create(results, result.plan)
    for cell in run.plan.cells:
        run.write(cell, "capture.json", to_json(result.captures[cell.id]))
        run.write(cell, "view.stream", b"view vcpu=0\n@end 1\n")
        run.write(cell, "as-launched.state", b"CCSIGHT\n" + bytes(5000))
        run.console(cell).write_bytes(b"[ 0.0] Booting \xff\r\n")
    (run.folder / ".locks").mkdir()
    (run.folder / ".locks" / "a.lock").touch()
    (run.folder / "report.html").write_text("<p>")
    return run


def bundle_of(run: Run, file: Path, signature: bytes = b"") -> Path:
    contents = files_of(run.folder)
    pack(file, Bundle(manifest(run.plan.id, contents), signature), contents)
    return file


def small(signature: bytes = b"") -> bytes:
    """Return a bundle of few bytes: a plan that says no more than its name, and two files."""
    members = {
        "run.json": b'{"id": "2026"}',
        "cases.jsonl": b"\n".join(b"%d" % (n * n) for n in range(40)),
        "consoles/a-1.log": b"[ 0.0] up\n" * 20,
    }
    return archive_of(sealed(members), signature=signature)


def sealed(members: dict[str, bytes], run: str = "2026") -> list[Odd]:
    """Return the members of a bundle that is whole, its manifest first."""
    rows = [
        Member(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in members.items()
    ]
    return manifested(manifest_of(run, "0", rows), members)


def manifested(said: Manifest, members: dict[str, bytes]) -> list[Odd]:
    rows = sorted(members.items())
    return [(MANIFEST, to_json(said), plain), *((name, data, plain) for name, data in rows)]


def plain(info: zipfile.ZipInfo) -> None:
    """Do nothing to a member."""


def archive_of(members: Sequence[Odd], signature: bytes = b"") -> bytes:
    """Return an archive of the form of a bundle, with these members and the right hash of itself."""
    rows = list(members)
    rows[1:1] = [("manifest.sig", signature, plain)] if signature else []
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = bytes(64)
        for name, data, change in rows:
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, PLAIN
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            archive.writestr(info, data)
    return rehashed(file.getvalue())


def rehashed(data: bytes) -> bytes:
    """Return an archive with the right hash of itself, whatever was done to it."""
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()
