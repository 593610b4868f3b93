"""What an emulated machine has beside its board: files and cables."""

import socket

import pytest
from test_machines_initramfs import unpacked

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines import initramfs
from ccsight.machines.fittings import Fitting, cable, joined
from ccsight.machines.registry import machine
from ccsight.process import Completed


class Shell:
    """A host that remembers what it was asked to run, and ends with a status."""

    def __init__(self, status):
        self.status, self.asked = status, []

    def run(self, argv, deadline, *, limit=0):
        self.asked.append(tuple(argv))
        return Completed(tuple(argv), self.status, b"", b"ifconfig: bad")


def test_a_layer_lies_where_it_is_put(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tool"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/it").write_bytes(b"content")
    (folder / "bin/it").chmod(0o755)
    layer = initramfs.layer(folder, "opt/tool", Deadline(20))
    found = unpacked(layer.read_bytes())
    assert list(found) == ["opt", "opt/tool", "opt/tool/bin", "opt/tool/bin/it"]
    assert found["opt/tool/bin/it"] == (0o100755, b"content")
    assert initramfs.layer(folder, "opt/tool", Deadline(20)) == layer
    assert initramfs.layer(folder, "opt/other", Deadline(20)) != layer
    (folder / "bin/it").write_bytes(b"other content")
    assert initramfs.layer(folder, "opt/tool", Deadline(20)) != layer


def test_a_cable_has_two_ends_and_they_are_joined():
    with cable() as (one, other):
        assert one.mac != other.mac
        assert {one.address, other.address} == {"192.0.2.1", "192.0.2.2"}
        plugs = [socket.socket(fileno=socket.dup(end.fitting.descriptors[0])) for end in (one, other)]
        plugs[0].send(b"frame")
        assert plugs[1].recv(100) == b"frame"
        assert f"local.str={one.fitting.descriptors[0]}" in one.fitting.argv[1]
        for plug in plugs:
            plug.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.dup(one.fitting.descriptors[0])


def test_the_address_goes_to_the_card_of_the_cable():
    with cable() as (one, _):
        host = Shell(0)
        one.up(host, Deadline(5))
        assert host.asked[0][-2:] == (one.mac, one.address)
        with pytest.raises(InfraError) as caught:
            one.up(Shell(1), Deadline(5))
    assert (one.mac in caught.value.fact, caught.value.evidence) == (True, "ifconfig: bad")


def test_fittings_add_up_and_the_machine_stays_as_it_was(tmp_path):
    layer = Fitting(layers=(tmp_path,))
    wire = Fitting(argv=("-netdev", "x"), descriptors=(7,))
    plain = machine("emulated:neoverse-n1")
    assert joined((layer, wire)) == Fitting((tmp_path,), ("-netdev", "x"), (7,))
    assert joined(()) == Fitting()
    once = plain.fitted(layer)
    assert (once.fitted(wire).fittings, once.fittings, plain.fittings) == ((layer, wire), (layer,), ())
    assert once.spec == plain.spec
