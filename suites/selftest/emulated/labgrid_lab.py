"""A labgrid-coordinator and a labgrid-exporter on loopback, a power switch in HTTP, and a console in TCP."""

import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.machines import inventory
from ccsight.machines.labgrid_command import command
from ccsight.process import Streams

EXPORTED = """
rack:
  NetworkPowerPort:
    model: simplerest
    host: 'http://127.0.0.1:{power}/{{index}}/{{value}}'
    index: '4'
  NetworkSerialPort:
    host: 127.0.0.1
    port: {console}
"""


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Lab:
    """The coordinator at ``address``; ``switched`` is what the power switch was asked."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = port()
        self.address = f"127.0.0.1:{self.port}"
        self.switched = []
        self.console = None
        self._coordinator = None

    def start(self):
        argv = [beside("labgrid-coordinator"), "-l", self.address]
        with (self.folder / "coordinator.log").open("ab") as log:
            streams = Streams(stdout=log.fileno(), stderr=log.fileno())
            self._coordinator = process.spawn(argv, streams, cwd=self.folder)
        until(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() is None)

    def kill(self):
        process.end(self._coordinator)

    def ask(self, place, *words, user=None, expect=(0,)):
        env = {"LG_USERNAME": user} if user else {}
        argv = command(self.address, place, *words)
        return process.run(argv, Deadline(30), env=env, expect=expect).text

    def add(self, place):
        self.ask(place, "create")
        return place

    def entry(self, place, more=""):
        text = f'[altra]\naddress = "h"\nlabgrid = "{place}"\nlabgrid-coordinator = "{self.address}"\n{more}'
        return inventory.read(text, "machines.toml")["altra"]


def beside(name):
    return str(Path(sys.executable).with_name(name))


def until(what):
    deadline = Deadline(30)
    while True:
        try:
            if what():
                return
        except OSError:
            pass
        deadline.check("what the laboratory waits for")
        process.pause(0.1, deadline)


@contextmanager
def lab(folder):
    lab = Lab(folder)
    lab.start()
    try:
        yield lab
    finally:
        lab.kill()


@contextmanager
def exported(lab):
    """Have a power switch and a console exported, in the group ``rack``."""
    with _switch(lab) as power, _console() as console:
        lab.console = console
        config = lab.folder / "exporter.yaml"
        config.write_text(EXPORTED.format(power=power, console=console))
        argv = [beside("labgrid-exporter"), "-c", lab.address, "-n", "shelf", str(config)]
        with (lab.folder / "exporter.log").open("ab") as log:
            exporter = process.spawn(argv, Streams(stdout=log.fileno(), stderr=log.fileno()), cwd=lab.folder)
        try:
            until(lambda: "shelf/rack/NetworkPowerPort" in lab.ask("", "resources"))
            yield
        finally:
            process.end(exporter)


@contextmanager
def _switch(lab):
    class Switch(BaseHTTPRequestHandler):
        def do_GET(self):
            lab.switched.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _console():
    """Say a line to whoever connects, until the context ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"[    0.000000] Booting Linux on physical CPU 0x0\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
