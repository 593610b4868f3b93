"""What README's recipes for guests, machines and kernels ask for is there: no row is forgotten in silence."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from ccsight import machines, probes
from ccsight.campaign.programs import PROGRAMS
from ccsight.checks.places import SOURCES
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import files, source, spec, stored
from ccsight.kernels.model import Kernel
from ccsight.machines import registry
from ccsight.probes import build
from ccsight.process import ProcessFailed

TOP = Path(__file__).parents[3]
README = (TOP / "README.md").read_text()
GUESTS_README = (TOP / "guests" / "README.md").read_text()
GUESTS = sorted(path.stem for path in (TOP / "guests" / "bare").glob("*.[cS]"))
HARNESS = TOP / "harness" / "ccsight"
#: Programs that observe no readings of registers, so that no place of a predicate is theirs.
NO_VIEWS = {"writes", "shrink", "sysfs", "save", "restore", "linux"}


@pytest.mark.parametrize("guest", GUESTS)
def test_every_guest_is_run_by_somebody(guest):
    """A guest that nobody runs is compiled, and sent to every machine, and nothing would say so."""
    named = re.compile(rf'"{guest}(\.img)?"')
    assert any(named.search(path.read_text()) for path in HARNESS.glob("*/*.py"))


@pytest.mark.parametrize("guest", GUESTS)
def test_every_guest_s_lines_are_documented(guest):
    assert len(re.findall(rf"^### The guest `{guest}`", GUESTS_README, re.MULTILINE)) == 1


def test_a_guest_that_needs_more_stack_than_it_has_does_not_compile(tmp_path, monkeypatch):
    """Nothing guards the end of a vCPU's stack: what runs over it would show in some other value."""
    clone = tmp_path / "guests"
    shutil.copytree(TOP / "guests", clone)
    (clone / "bare" / "a.c").write_text(
        '#include "guest.h"\nconst char guest_name[] = "a";\n'
        "void guest_main(struct wire *wire)\n{\n\tvolatile char all[5000] = { 1 };\n\n\t"
        'wire_line(wire, "a");\n\twire_dec(wire, "n", all[4999]);\n\twire_send(wire);\n}\n'
    )
    monkeypatch.setattr(build, "data_dir", lambda name: clone)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ProcessFailed, match="frame"):
        build.built(Deadline(120))


def test_the_readings_of_every_program_can_be_asked_for():
    """Without a place, predicates would not know of them, and "in every view" would leave them out."""
    assert {source.program for source in SOURCES} | NO_VIEWS == {program.name for program in PROGRAMS}
    assert NO_VIEWS.isdisjoint(source.program for source in SOURCES)


@pytest.mark.parametrize("kind", sorted(spec.KINDS.keys() - {stored.BUILT}))
def test_readme_has_a_row_for_every_kind_of_kernel(kind):
    assert re.search(rf"^\| `{kind}[:`]", README, re.MULTILINE)


@pytest.mark.parametrize("kind", sorted(registry.KINDS))
def test_readme_says_what_every_kind_of_machine_is(kind):
    assert f"`{kind}:" in README or f"`{kind}`" in README


def hosts() -> list[str]:
    """Return the names of all classes that take commands and files, as ``machines.model.Host`` does."""
    found = []
    for folder in (machines, probes):
        for path in Path(folder.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
                    bases = [ast.unparse(base) for base in node.bases]
                    if methods >= {"run", "push", "fetch"} and "Protocol" not in bases:
                        found.append(node.name)
    return sorted(found)


def test_every_host_has_passed_the_conformance_test():
    """A new one is entered here together with the class that derives from HostConformance."""
    tests = {
        "LibraryHost": "TestLibraryHost",
        "LocalHost": "TestLocalHost",
        "SshHost": "TestEmulatedHost",
        "SudoHost": "TestSudoHost",
    }
    assert hosts() == sorted(tests)
    text = "".join(path.read_text() for path in (TOP / "suites" / "selftest").glob("*/test_*.py"))
    for name in tests.values():
        assert re.search(rf"^class {name}\(HostConformance\b", text, re.MULTILINE)


def test_a_source_is_one_row():
    for name, kind in source.KINDS.items():
        assert spec.KINDS[name].options > kind.options
        assert name in spec.SOURCES


def test_a_pin_that_its_own_kind_does_not_take_is_refused_at_once(monkeypatch):
    """Else a run would be refused when it is resumed, and nobody could tell why."""
    asked = spec.parse("image:/boot/vmlinuz,modules=/lib/modules/6.12")
    kernel = Kernel(asked, "mine", "6.12", Path("/boot/vmlinuz"), "0" * 64, frozenset())
    assert spec.pin(kernel) == asked.text
    monkeypatch.setitem(spec.KINDS, "image", spec.Kind("FILE", frozenset(), files.resolve, files.pin))
    with pytest.raises(UsageError, match=r"'modules=/lib/modules/6\.12' is not an option of image"):
        spec.pin(kernel)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("emulated:max", False),
        ("emulated:max,mte=on", True),
        ("silicon:rk3588,mode=nested", True),
        ("silicon:rk3588", False),
        ("local", True),
    ],
)
def test_what_may_give_something_to_a_vm_is_a_matter_of_its_kind(text, may):
    assert registry.gives(registry.parse(text)) is may
