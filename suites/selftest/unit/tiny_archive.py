"""A real package archive of a few kilobytes: built with dpkg-deb, signed with a key made for the test.

It is served on the loopback by a server that counts, stalls, corrupts and resumes as it is told.
"""

import hashlib
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ARM64_MAGIC_AT = 56
_DATE = "Mon, 17 Sep 2001 00:00:00 +0000"


def run(*argv: str | Path, **kwargs: object) -> str:
    done = subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True, **kwargs)
    return done.stdout


def fake_image(release: str, build_id: bytes, padding: int = 0) -> bytes:
    """An Image as far as anybody looks: magic, banner, a build-id note, and bytes that do not compress."""
    head = bytearray(64)
    head[ARM64_MAGIC_AT : ARM64_MAGIC_AT + 4] = b"ARM\x64"
    template = f"Linux version {release} (somebody@somewhere) # SMP\n\0".encode()
    banner = f"Linux version {release} (somebody@somewhere) #1 SMP Debian\n\0".encode()
    note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + build_id
    return bytes(head) + template + banner + note + os.urandom(padding)


class Key:
    """A throw-away signing key in a GnuPG home of its own."""

    def __init__(self) -> None:
        # Sockets of gpg-agent live in it, so its path has to be short.
        self.home = Path(tempfile.mkdtemp(prefix="ccs-gpg-"))
        self.public = self.home / "key.gpg"
        made = ("--passphrase", "", "--quick-gen-key", "archive@example.invalid", "ed25519", "sign", "never")
        self.gpg("--batch", *made)
        self.gpg("--batch", "--yes", "-o", self.public, "--export")

    def gpg(self, *argv: str | Path) -> None:
        run("gpg", "--homedir", self.home, *argv)

    def sign(self, path: Path, signed: Path) -> None:
        self.gpg("--batch", "--yes", "--clearsign", "-o", signed, path)

    def close(self) -> None:
        run("gpgconf", "--homedir", self.home, "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)


@cache
def _source_package(
    version: str, files: tuple[tuple[str, str], ...], patch: str
) -> tuple[tuple[str, bytes], ...]:
    """Return the files of a source package "linux", by name; to build one starts xz and Perl."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        upstream, tree = version.rpartition("-")[0], folder / "tree"
        for path, content in files:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        run("tar", "-C", folder, "-cJf", folder / f"linux_{upstream}.orig.tar.xz", "tree")
        packaging = {
            "source/format": "3.0 (quilt)\n",
            "control": "Source: linux\nMaintainer: A <a@b.invalid>\n\nPackage: x\nArchitecture: any\n",
            "changelog": f"linux ({version}) stable; urgency=low\n\n  * x\n\n -- A <a@b.invalid>  {_DATE}\n",
            "patches/series": "the.patch\n" if patch else "",
            "patches/the.patch": patch,
        }
        for path, content in packaging.items():
            (tree / "debian" / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / "debian" / path).write_text(content)
        run("dpkg-source", "-b", "tree", cwd=folder)
        shutil.rmtree(tree)
        built = sorted(path for path in folder.iterdir() if not path.name.endswith(".changes"))
        return tuple((path.name, path.read_bytes()) for path in built)


class Archive:
    """An archive below ``root``: add packages, then publish the suites."""

    def __init__(self, root: Path, key: Key) -> None:
        self.root = root
        self.key = key
        self.suites: dict[str, list[tuple[str, bytes]]] = {}

    def add(self, suite: str, name: str, version: str, files: dict[str, bytes], **control: str) -> Path:
        """Build a package into the pool and list it in a suite; keywords are control fields."""
        tree = self.root / "build" / name
        fields = {
            "Package": name,
            "Version": version,
            "Architecture": "arm64",
            "Maintainer": "nobody",
            **control,
        }
        text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items())
        for path, content in {"DEBIAN/control": (text + "Description: x\n").encode(), **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
            (tree / path).chmod(0o755 if content.startswith(b"\x7fELF") else 0o644)
        deb = self.root / "pool" / f"{name}_{version}_arm64.deb"
        deb.parent.mkdir(exist_ok=True)
        run("dpkg-deb", "-b", "-Znone", "--root-owner-group", tree, deb)
        shutil.rmtree(tree)
        os.utime(deb, (1_600_000_000, 1_600_000_000))  # a mirror's files are older than our partial ones
        content = deb.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        text += f"Filename: pool/{deb.name}\nSize: {len(content)}\nSHA256: {digest}\n"
        self.suites.setdefault(suite, []).append((fields["Architecture"], text.encode()))
        return deb

    def old_kernel(self, suite: str, series: str = "6.1", number: int = 5, padding: int = 0) -> Path:
        """Add a kernel whose Image lies in its linux-image package."""
        release = f"{series}.0-{number}-arm64"
        files = {
            f"boot/vmlinuz-{release}": fake_image(release, bytes([number] * 20), padding),
            f"lib/modules/{release}/kernel/a.ko": b"module",
        }
        return self.add(suite, f"linux-image-{release}", f"{series}.{number}-1", files)

    def new_kernel(self, suite: str, release: str = "7.2.1-arm64", version: str = "7.2.1-1") -> None:
        """Add a kernel whose linux-image package is empty and depends on its parts."""
        where = f"usr/lib/modules/{release}"
        depends = ", ".join(f"linux-{part}-{release} (= {version})" for part in ("binary", "modules"))
        self.add(suite, f"linux-image-{release}", version, {}, Depends=f"dracut | tiny, {depends}")
        image = fake_image(release, b"n" * 20)
        self.add(suite, f"linux-binary-{release}", version, {f"{where}/vmlinuz": image})
        self.add(suite, f"linux-modules-{release}", version, {f"{where}/kernel/b.ko.xz": b"module"})

    def source(self, suite: str, version: str, files: dict[str, str], patch: str = "") -> Path:
        """Add a source package "linux" with a distribution's patch, list it, and return its folder."""
        folder = self.root / "pool" / "linux" / version
        folder.mkdir(parents=True)
        built = _source_package(version, tuple(files.items()), patch)
        for name, content in built:
            (folder / name).write_bytes(content)
        rows = [f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}" for name, content in built]
        text = f"Package: linux\nVersion: {version}\nDirectory: pool/linux/{version}\nChecksums-Sha256:\n"
        self.suites.setdefault(suite, []).append(("source", f"{text}{chr(10).join(rows)}\n".encode()))
        return folder

    def publish(self, key: Key | None = None) -> None:
        """Write and sign the lists of all suites."""
        for suite, stanzas in self.suites.items():
            folder = self.root / "dists" / suite
            lines = []
            for architecture in ("arm64", "amd64", "source"):
                content = b"\n".join(text for owner, text in stanzas if owner in (architecture, "all"))
                binary = f"main/binary-{architecture}/Packages"
                path = "main/source/Sources" if architecture == "source" else binary
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
                lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}")
            date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
            head = (
                f"Origin: Tiny\nSuite: {suite}\nCodename: {suite}\nDate: {date}\nArchitectures: arm64 amd64\n"
            )
            (folder / "Release").write_text(f"{head}Components: main\nSHA256:\n" + "\n".join(lines) + "\n")
            (key or self.key).sign(folder / "Release", folder / "InRelease")


class Server:
    """Serves a folder. ``requests`` are (path, first byte sent); ``limit`` stalls a package after so many."""

    def __init__(self, root: Path) -> None:
        self.requests: list[tuple[str, int]] = []
        self.limit: int | None = None
        self.stalled = threading.Event()
        self.released = threading.Event()
        outer = self

        class Handler(_Handler):
            served = outer
            folder = root

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None  # clients that are killed are what some tests are about
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._http.server_address[1]

    def debs(self) -> list[tuple[str, int]]:
        return [request for request in self.requests if request[0].endswith(".deb")]

    def stop(self) -> None:
        self.released.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Server
    folder: Path

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/").replace("%2b", "+").replace("%2B", "+").replace("%7e", "~")
        asked = self.headers.get("Range", "")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        modified = self.date_time_string(int(path.stat().st_mtime))
        start = 0
        if asked and self.headers.get("If-Range", modified) == modified:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        self.served.requests.append((self.path, start))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Last-Modified", modified)
        self.end_headers()
        limit = self.served.limit
        if limit is not None and path.suffix == ".deb":
            self.wfile.write(content[start:limit])
            self.served.stalled.set()
            self.served.released.wait(20)
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    made = Key()
    yield made
    made.close()


@pytest.fixture
def archive(tmp_path: Path, key: Key) -> Archive:
    return Archive(tmp_path / "archive", key)


@pytest.fixture
def server(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The archive on the loopback, as the one that ccsight is told to use, with a cache of the test's own."""
    archive.root.mkdir()
    made = Server(archive.root)
    direct = tmp_path / "apt.conf"
    direct.write_text('Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::Retries "0";\n')
    values = {
        "XDG_CACHE_HOME": tmp_path / "cache",
        "CCSIGHT_MIRROR": f"http://127.0.0.1:{made.port}",
        "CCSIGHT_SECURITY_MIRROR": "",
        "CCSIGHT_KEYRING": archive.key.public,
        "APT_CONFIG": direct,
        "no_proxy": "127.0.0.1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    yield made
    made.stop()
