"""What a machine says of its kernel's configuration: what is taken, what is refused; and asked once."""

import pytest
import tiny_source

from ccsight.campaign import bisections
from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, UsageError
from ccsight.kernels import kconfig, machine_config, parts, spec
from ccsight.kernels.machine_config import Told
from ccsight.machines import silicon

CONFIG = """\
#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.12.9 Kernel Configuration
#
CONFIG_ARM64=y
CONFIG_KVM=y
CONFIG_NR_CPUS=256
CONFIG_PHYS=0x80000000
CONFIG_DEFAULT_HOSTNAME="(none)"
CONFIG_LSM="landlock,yama,integrity"
CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) 14.2.0"

# CONFIG_WERROR is not set
CONFIG_EXT4_FS=m
# end of General setup
"""
MODULES = ("virtio_blk", "ext4", "ext4")
DEADLINE = Deadline(60)


@pytest.fixture
def machine(cache, monkeypatch):
    """A machine named altra; what it says can be changed."""
    monkeypatch.setattr(machine_config, "_ASKS", [])
    monkeypatch.setattr(machine_config, "_ASKED", {})
    answers = {"altra": Told("/proc/config.gz", CONFIG, MODULES)}
    asked = []

    def ask(name, deadline, report):
        asked.append(name)
        return answers[name]

    machine_config.machines_are_asked_by(ask)
    answers["asked"] = asked
    return answers


def of(value="machine:altra", said=None):
    return machine_config.of(value, DEADLINE, (said if said is not None else []).append)


def proved(config=CONFIG, modules=MODULES):
    return machine_config.proved("altra", Told("/boot/config-6.12.9", config, modules))


def test_options_are_taken_and_comments_are_not():
    found = proved()
    assert found.options[0] == "CONFIG_ARM64=y"
    assert "# CONFIG_WERROR is not set" in found.options
    assert 'CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) 14.2.0"' in found.options
    assert not [line for line in found.options if "Automatically" in line or "end of" in line]
    assert found.modules == ("ext4", "virtio_blk")


@pytest.mark.parametrize(
    "line",
    [
        'CONFIG_CMDLINE="$(shell touch /tmp/there)"',
        'CONFIG_LOCALVERSION="`id`"',
        'CONFIG_LOCALVERSION="-a; id"',
        'CONFIG_LOCALVERSION="a\\"b"',
        'CONFIG_A="x',
        "CONFIG_A=yes",
        "CONFIG_A=$(shell id)",
        "CONFIG_A-B=y",
        "export A=b",
        " CONFIG_A=y",
        "include /etc/passwd",
        f"CONFIG_{'A' * 101}=y",
        f'CONFIG_A="{"a" * 2001}"',
        "CONFIG_A=\u0663",
    ],
)
def test_what_is_no_line_of_a_configuration_is_refused_whole(line):
    with pytest.raises(HostRefused, match="what altra sent is not a kernel's configuration") as caught:
        proved(f"{CONFIG}{line}\n")
    assert repr(line[:200]) in caught.value.evidence


@pytest.mark.parametrize("name", ["../x", "a b", "", "a" * 65, "a;b", "e\u0301"])
def test_what_is_no_modules_name_is_refused(name):
    with pytest.raises(HostRefused, match="not a kernel's configuration"):
        proved(modules=("ext4", name))


def test_more_than_a_configuration_has_is_refused():
    with pytest.raises(HostRefused, match="not a kernel's configuration"):
        proved(CONFIG + "# x\n" * 50_000)
    with pytest.raises(HostRefused, match="not a kernel's configuration"):
        proved(modules=("m",) * 5_001)


def test_files_of_whoever_built_that_kernel_are_not_looked_for_here():
    found = proved(
        f'{CONFIG}CONFIG_INITRAMFS_SOURCE="/root/.ssh/id_ed25519"\nCONFIG_KEY="../certs/key.pem"\n'
    )
    assert found.options == proved().options
    assert found.key == proved().key


@pytest.mark.parametrize(
    ("config", "evidence"),
    [("CONFIG_X86=y\n", "CONFIG_X86=y"), ("CONFIG_KVM=y\n", "no CONFIG_ARM64=y"), ("", "no")],
)
def test_a_configuration_of_another_architecture_is_none(config, evidence):
    with pytest.raises(UsageError, match="not one of arm64") as caught:
        proved(config)
    assert evidence in caught.value.evidence


def test_a_machine_is_asked_once_and_what_it_said_has_a_name(machine):
    said = []
    first = of(said=said)
    machine["altra"] = Told("/proc/config.gz", CONFIG + "CONFIG_MORE=y\n", ())
    assert of() is first
    assert of(first.pinned) == first
    assert machine["asked"] == ["altra"]
    assert first.pinned == f"machine:altra={first.key}"
    assert any("/proc/config.gz, 9 options, 2 modules loaded" in line for line in said)


def test_what_was_said_is_there_in_another_process(machine, monkeypatch):
    kept = of()
    monkeypatch.setattr(machine_config, "_ASKED", {})
    monkeypatch.setattr(machine_config, "_ASKS", [])
    assert of(kept.pinned) == kept
    with pytest.raises(UsageError, match="nobody here can ask altra"):
        of()


@pytest.mark.parametrize("key", ["0123456789abcdef", "../configs/x", "short", "ABCDEF0123456789"])
def test_a_configuration_that_is_not_there_is_asked_for_anew(machine, key):
    of()
    with pytest.raises(UsageError, match="the cache has no configuration") as caught:
        of(f"machine:altra={key}")
    assert caught.value.next_step.endswith("kconfig=machine:altra")


def test_a_configuration_that_was_changed_in_the_cache_is_not_that_one(machine, cache):
    kept = of()
    (place,) = cache.glob(f"ccsight/configs/{kept.key}/config")
    place.write_text(place.read_text().replace("256", "512"))
    with pytest.raises(UsageError, match="the cache has no configuration"):
        of(kept.pinned)


def test_a_kernel_without_kvm_is_said_to_be_one(machine):
    said = []
    machine["altra"] = Told("/proc/config.gz", CONFIG.replace("CONFIG_KVM=y", "# CONFIG_KVM is not set"), ())
    of(said=said)
    assert any(line.startswith("note: altra's own kernel has no KVM") for line in said)


def test_two_machines_have_no_configuration_in_common():
    with pytest.raises(UsageError, match="two machines") as caught:
        machine_config.named(("machine:a", "debug", "machine:b"))
    assert caught.value.evidence == "kconfig=machine:a kconfig=machine:b"
    assert machine_config.named(("machine:a", "debug", "machine:a")) == "machine:a"


def test_ours_goes_on_top_and_the_shipped_fragments_do_not(machine, tmp_path):
    fragment = tmp_path / "more.config"
    fragment.write_text("CONFIG_EXT4_FS=y  # the root file system\n")
    merged = kconfig.on_top(of(), (str(fragment),))
    text = kconfig.text(merged)
    assert merged.names == (of().pinned, "metal", str(fragment))
    assert "CONFIG_EXT4_FS=y\n" in text
    assert "CONFIG_EXT4_FS=m" not in text
    assert text.count("WERROR") == 1
    assert "CONFIG_NR_CPUS=256\n" in text
    assert text.startswith("# loaded: ext4 virtio_blk\n")


def test_what_is_loaded_makes_another_kernel(machine):
    one = kconfig.text(kconfig.on_top(proved()))
    assert one != kconfig.text(kconfig.on_top(proved(modules=("ext4",))))
    assert one == kconfig.text(kconfig.on_top(proved(modules=("virtio_blk", "ext4"))))


def test_a_string_that_is_not_there_is_an_empty_one(tmp_path):
    (tmp_path / "Kconfig").write_text('config KEYS\n\tstring "keys"\n\tdepends on SIGNED\n')
    path = tmp_path / "f.config"
    path.write_text('CONFIG_KEYS=""  # none are here\n')
    merged = kconfig.merge([kconfig.parse(path)])
    kconfig.prove(merged, "", tmp_path)
    with pytest.raises(kconfig.KconfigDropped, match="KEYS"):
        kconfig.prove(merged, 'CONFIG_KEYS="certs/x.pem"\n', tmp_path)
    path.write_text('CONFIG_KEYZ=""\n')
    with pytest.raises(UsageError, match="no option KEYZ"):
        kconfig.prove(kconfig.merge([kconfig.parse(path)]), "", tmp_path)


def test_a_spec_is_settled_by_what_the_machine_says_now(machine):
    text = "tree:/x,patch=a,,b.patch,kconfig=machine:altra,kconfig=debug"
    settled = spec.settled(text, DEADLINE, print)
    assert settled == f"tree:/x,patch=a,,b.patch,kconfig={of().pinned},kconfig=debug"
    assert spec.settled(settled, DEADLINE, print) == settled
    assert spec.settled("deb:6.12", DEADLINE, print) == "deb:6.12"
    assert machine["asked"] == ["altra"]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("tree:/x,kconfig=machine:altra", ""),
        ("tree:/x,kconfig=machine:altra,kconfig=debug", "tree:/x,kconfig=machine:altra"),
        ("tree:/x,kconfig=machine:altra,patch=p,name=n", "tree:/x,kconfig=machine:altra"),
        ("tree:/x,patch=p", "tree:/x"),
    ],
)
def test_the_base_of_a_kernel_is_built_for_the_same_machine(text, base):
    assert spec.base(text) == base


def test_a_bisection_takes_a_machines_configuration_as_one_thing():
    (part,) = parts.parts(("kconfig", "machine:altra=0123456789abcdef"))
    assert part.option == ("kconfig", "machine:altra=0123456789abcdef")
    assert part.title == "the configuration of altra=0123456789abcdef"


def test_a_bisection_asks_a_machine_once_before_it_begins(machine, tmp_path):
    place = tiny_source.repository(tmp_path / "linux")
    old, new = (
        tiny_source.commit(place, "old", {}),
        tiny_source.commit(place, "new", {"init/main.c": "int a;\n"}),
    )
    good, bad = (f"git:{place},ref={commit},kconfig=machine:altra" for commit in (old, new))
    request = bisections.Request(good, bad, "check CR-004", ("emulated:cortex-a57",), (), silicon.load(None))
    order = bisections.start(tmp_path / "results", request).order
    pinned = f"kconfig={of().pinned}"
    assert all(pinned in text for text in (order.good, order.bad, order.first, order.last))
    assert machine["asked"] == ["altra"]
