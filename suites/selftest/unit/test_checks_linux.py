"""CR-016 on recorded Linux guests, for each status that it can give."""

import msgspec
import pytest
from linux_samples import guest, linux_capture
from report_samples import placed, result_of

from ccsight.campaign.planning import cases_of
from ccsight.checks import LAWS, LAWS_ON_REQUEST, judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.linux import CLIDR, OVERRIDE, SYSFS, Domain, Leaf
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Depth
from ccsight.evidence.record import Hex, from_json, to_json
from ccsight.evidence.views import PINNED, Reading, Vantage
from ccsight.report import as_json, console, html, terminal
from ccsight.report.linux import linux_rows
from ccsight.status import Status

replace = msgspec.structs.replace


def verdict(seen: Capture):
    return judge(PlannedCase(check="CR-016", cells=(seen.cell.id,)), (seen,))


def lost(linux, *vcpus):
    """Return a guest that has no cache directory on some CPUs."""
    cpus = tuple(replace(cpu, leaves=None) if cpu.index in vcpus else cpu for cpu in linux.cpus)
    return replace(linux, cpus=cpus)


def whole(case):
    """Return subject, place and words of each finding that is not known."""
    return [(each.subject, each.where, each.said) for each in case.findings if not each.known]


def said(case):
    return [(finding.where, finding.said) for finding in case.findings if not finding.known]


def test_it_passes_on_a_real_kernel_and_tells_what_is_known():
    case = verdict(linux_capture())
    assert case.status is Status.PASS
    assert {finding.where for finding in case.findings} == {
        "vCPU 0, device tree: sysfs",
        "vCPU 1, device tree: sysfs",
    }
    assert all("7af0c2534f4c" in finding.known for finding in case.findings)


@pytest.mark.parametrize("way", [CLIDR, OVERRIDE])
@pytest.mark.parametrize("vcpus", [(0, 1), (1,)])
def test_a_directory_that_is_missing_where_both_sources_agree_fails(way, vcpus):
    guests = {CLIDR: guest(CLIDR), way: guest(way)}
    case = verdict(linux_capture(*(guests | {way: lost(guests[way], *vcpus)}).values()))
    assert case.status is Status.FAIL
    assert [where for where, _ in said(case)] == [f"vCPU {vcpu}, device tree: {way}" for vcpu in vcpus]
    assert all(words.startswith("missing: the device tree lists 2 caches") for _, words in said(case))


def test_a_directory_lost_to_a_device_tree_of_the_hosts_sysfs_is_known_of_a_normalised_kernel_alone():
    gone = lost(guest(SYSFS), 0, 1)
    case = verdict(linux_capture(guest(CLIDR), gone))
    assert case.status is Status.PASS
    assert {finding.said for finding in case.findings} == {
        "missing: the device tree lists 2 caches (L1D, L1I), CLIDR_EL1 2 caches (L1I, L2)"
    }
    assert all("Firecracker PR 5780" in finding.known for finding in case.findings)
    native = verdict(linux_capture(guest(CLIDR), gone, series="6.1"))
    assert native.status is Status.FAIL


def test_a_directory_lost_to_a_device_tree_that_fits_is_not_known():
    fitting = lost(replace(guest(SYSFS), described=guest(CLIDR).described), 1)
    case = verdict(linux_capture(guest(CLIDR), fitting))
    assert (case.status, len(said(case))) == (Status.FAIL, 2)


def test_an_override_that_a_secondary_loses_fails_as_it_was_recorded():
    case = verdict(linux_capture(guest(CLIDR), guest(OVERRIDE, "wiped")))
    assert case.status is Status.FAIL
    (where, clidr), (_, shown) = said(case)
    assert where == f"vCPU 1, device tree: {OVERRIDE}"
    assert clidr.startswith("0x2000021 after the guest ran, where the VMM wrote 0x1000003, as Linux v6.3")
    assert shown.startswith("shows 1 cache (L1I), where the device tree lists 2 caches (L1D, L1I)")


def test_an_override_that_becomes_anything_else_fails_too():
    odd = replace(guest(OVERRIDE), clidr_end=(Hex(0x1000003), Hex(5)))
    ((_, words),) = said(verdict(linux_capture(guest(CLIDR), odd)))
    assert words == "0x5 after the guest ran, where the VMM wrote 0x1000003"


def test_an_override_that_is_refused_is_known_of_a_native_kernel_alone():
    refused = replace(guest(OVERRIDE), end="refused", refused="EINVAL", cpus=(), clidr_end=())
    normalised = verdict(linux_capture(guest(CLIDR), refused))
    assert normalised.status is Status.FAIL
    assert said(normalised)[0][1] == "KVM refuses 0x1000003, made of the host's sysfs (EINVAL)"
    assert verdict(linux_capture(guest(CLIDR), refused, series="6.1")).status is Status.PASS


def test_a_cpu_that_never_came_up_fails():
    alone = replace(guest(CLIDR), cpus=guest(CLIDR).cpus[:1])
    assert said(verdict(linux_capture(alone))) == [("vCPU 1, device tree: clidr", "it never came up")]


def test_outer_caches_of_the_device_tree_are_allowed_and_others_are_not():
    plain = guest(CLIDR)
    outer = Leaf(level=3, type="Unified")
    cpus = tuple(replace(cpu, leaves=(*cpu.leaves, outer)) for cpu in plain.cpus)
    more = replace(plain, cpus=cpus, described=(*plain.described, outer))
    assert verdict(linux_capture(more)).status is Status.PASS
    assert verdict(linux_capture(replace(plain, cpus=cpus))).status is Status.FAIL


@pytest.mark.parametrize("end", ["reset", "guest-does-not-end", "guest-says-too-much"])
def test_a_guest_that_does_not_come_to_its_end_is_missed_with_its_last_words(end):
    panicked = replace(guest(SYSFS), end=end, cpus=(), console=("Kernel panic - not syncing",))
    case = verdict(linux_capture(guest(CLIDR), panicked))
    assert case.status is Status.MISS
    assert end in case.reason
    assert "Kernel panic - not syncing" in case.reason


def test_a_guest_that_fails_is_not_hidden_by_one_that_did_not_end():
    panicked = replace(guest(SYSFS), end="reset", cpus=())
    case = verdict(linux_capture(lost(guest(CLIDR), 1), panicked))
    assert case.status is Status.FAIL


def test_a_guest_that_said_nothing_has_no_last_words():
    silent = replace(guest(SYSFS), end="reset", cpus=(), console=())
    reason = verdict(linux_capture(guest(CLIDR), silent)).reason
    assert reason.endswith("the Linux guest (device tree: sysfs) ended by reset")


def test_an_override_of_a_guest_that_did_not_end_is_not_called_lost():
    """What KVM said after a panic was never compared with what was written."""
    panicked = replace(guest(OVERRIDE, "wiped"), end="reset", cpus=())
    assert verdict(linux_capture(guest(CLIDR), panicked)).status is Status.MISS


def test_each_loss_is_named_by_its_register_or_file():
    gone = lost(guest(CLIDR), 1)
    both = "the device tree lists 2 caches (L1I, L2), CLIDR_EL1 2 caches (L1I, L2)"
    assert whole(verdict(linux_capture(gone))) == [
        ("/sys/devices/system/cpu/cpu*/cache", "vCPU 1, device tree: clidr", f"missing: {both}")
    ]
    alone = replace(guest(CLIDR), cpus=guest(CLIDR).cpus[:1])
    assert whole(verdict(linux_capture(alone))) == [
        ("/sys/devices/system/cpu", "vCPU 1, device tree: clidr", "it never came up")
    ]
    balanced = replace(guest(CLIDR), domains_told=True)
    words = "the scheduler has no domains: it moves no load to or from this CPU"
    assert whole(verdict(linux_capture(balanced))) == [
        ("/sys/kernel/debug/sched/domains", f"vCPU {vcpu}, device tree: clidr", words) for vcpu in (0, 1)
    ]


def test_a_written_register_is_named_where_it_is_refused_or_lost():
    refused = replace(guest(OVERRIDE), end="refused", refused="EINVAL", cpus=(), clidr_end=())
    where = f"device tree: {OVERRIDE}"
    assert whole(verdict(linux_capture(guest(CLIDR), refused))) == [
        ("CLIDR_EL1", where, "KVM refuses 0x1000003, made of the host's sysfs (EINVAL)")
    ]
    odd = replace(guest(OVERRIDE), clidr_end=(Hex(0x1000003), Hex(5)))
    assert whole(verdict(linux_capture(guest(CLIDR), odd))) == [
        ("CLIDR_EL1", f"vCPU 1, {where}", "0x5 after the guest ran, where the VMM wrote 0x1000003")
    ]


def test_a_broken_promise_is_named_by_its_field():
    messages = ("CPU features: detected: Instruction cache invalidation not required for I/D coherence",)
    bold = replace(guest(CLIDR), ctr=Hex(0x8444C004), messages=messages)
    assert whole(verdict(linux_capture(bold))) == [
        (
            "CTR_EL0.DIC",
            "device tree: clidr",
            "the guest's kernel found DIC = 1, where the VMM wrote 0x8444c004, DIC = 0",
        )
    ]


def test_no_caches_are_none_in_words():
    bare = lost(replace(guest(CLIDR), clidr_start=(Hex(0x9200000),) * 2, described=()), 0, 1)
    shows = replace(bare, cpus=guest(CLIDR).cpus)
    assert said(verdict(linux_capture(shows)))[0][1] == (
        "shows 2 caches (L1I, L2), where the device tree lists none, CLIDR_EL1 none"
    )


def test_on_a_native_host_of_two_kinds_any_bare_guests_clidr_explains_a_guest():
    """This one shows what Linux makes of L1I and L2, as a bare guest read them on another CPU."""
    plain = guest(CLIDR)
    told = replace(plain, clidr_start=(Hex(0x82000023),) * 2)

    def elsewhere(vantage, register="CLIDR_EL1"):
        seen = linux_capture(told, series="6.1")
        views = list(seen.views)
        at = next(n for n, view in enumerate(views) if (view.vantage, view.phase) == (vantage, PINNED))
        reading = Reading(value=plain.clidr)
        views[at] = replace(views[at], readings=views[at].readings | {register: reading})
        return verdict(replace(seen, views=tuple(views)))

    case = elsewhere(Vantage.GUEST)
    assert {finding.known.partition(",")[0] for finding in case.findings} == {
        "the host's CPUs differ in CLIDR_EL1"
    }
    assert elsewhere(Vantage.USERSPACE).status is Status.FAIL
    assert elsewhere(Vantage.GUEST, "CTR_EL0").status is Status.FAIL


def test_nothing_observed_is_missed():
    for guests in ((), (guest(SYSFS),)):
        seen = replace(linux_capture(), linux=guests)
        assert verdict(seen).status is Status.MISS


def test_it_is_planned_only_where_it_is_asked_for():
    plain, asked = (
        {case.check for case in cases_of(["deb:6.1"], ["emulated:max"], Depth(linux=linux))}
        for linux in (False, True)
    )
    assert asked - plain == {"CR-016"} < LAWS_ON_REQUEST.keys()
    assert not LAWS.keys() & LAWS_ON_REQUEST.keys()


def test_the_evidence_comes_back_from_disk():
    seen = linux_capture()
    assert from_json(to_json(seen), Capture) == seen


def test_the_report_says_what_each_vcpu_shows():
    rows = list(linux_rows(linux_capture(guest(CLIDR), lost(guest(SYSFS), 1), guest(OVERRIDE, "wiped"))))
    assert [(row.vcpus, row.shows, row.fits) for row in rows] == [
        ("vCPU 0, 1", "L1I of unknown size, L2 of unknown size", True),
        ("vCPU 0", "L1I 64K", False),
        ("vCPU 1", "no caches at all: /sys/devices/system/cpu/cpu*/cache is missing", False),
        ("vCPU 0", "L1D 64K, L1I 64K", True),
        ("vCPU 1", "L1I 64K", False),
    ]
    assert rows[1].told == "described L1D, L1I; register L1I, L2"


def test_the_report_names_scheduler_domains_where_the_kernel_does():
    plain = guest(CLIDR)
    first = replace(plain.cpus[0], domains=(Domain(name="MC", shares_cache=True),))
    rows = list(linux_rows(linux_capture(replace(plain, domains_told=True, cpus=(first, plain.cpus[1])))))
    assert [row.shows.partition("; ")[2] for row in rows] == [
        "scheduler domains: MC (one last cache)",
        "scheduler domains: none",
    ]


def test_the_report_says_why_there_was_no_guest():
    refused = replace(guest(OVERRIDE), end="refused", refused="EINVAL", cpus=())
    panicked = replace(guest(SYSFS), end="reset", cpus=())
    rows = list(linux_rows(linux_capture(refused, panicked)))
    assert [(row.vcpus, row.shows, row.fits) for row in rows] == [
        ("vCPU 0, 1", "no guest: KVM refuses the register's value (EINVAL)", False),
        ("vCPU 0, 1", "the guest did not come up (reset)", False),
    ]


def test_the_pages_show_the_table(tmp_path, monkeypatch, capsys):
    seen = placed(linux_capture(guest(CLIDR), lost(guest(SYSFS), 1)), "emulated:neoverse-n1", "deb:6.12")
    result = result_of([seen], kernels=("deb:6.12",))
    monkeypatch.setenv("COLUMNS", "120")
    console.output().print(terminal.render(result))
    text = capsys.readouterr().out
    html.write(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for said in ("as small VMMs do", "no caches at all: /sys/devices/system/cpu/cpu*/cache is missing"):
        assert said in text
        assert said in page
    assert b'"device_tree"' in as_json.document(result)
