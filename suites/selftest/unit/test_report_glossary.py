"""What a page says once: each value is taken apart in one place, and cells that show the same are one."""

import re

from report_samples import NEW, OLD, result_of, sample

from ccsight.report import html, page
from ccsight.report.glossary import Glossary

N1 = "emulated:neoverse-n1"
MANY = [f"{N1},name=m{number}" for number in range(6)]


def shown(machines):
    return result_of([sample(each, kernel, like=N1) for each in machines for kernel in (OLD, NEW)])


def test_every_value_is_told_once_and_every_link_leads_to_one():
    text = html.document(shown(MANY[:2])).decode()
    anchors = re.findall(r'id="((?:value|registers)-[^"]*)"', text)
    assert len(anchors) == len(set(anchors))
    links = set(re.findall(r'href="#((?:value|registers)-[^"]*)"', text))
    assert links
    assert links <= set(anchors)


def test_a_value_is_one_of_a_register_under_one_layout():
    values = Glossary(page.machines(shown(MANY[:1]))).values
    told = [(each.name, each.said, each.decoded.title) for each in values]
    assert len(told) == len(set(told))
    assert {"CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1"} <= {each.name for each in values}


def test_a_cell_that_shows_the_same_as_an_earlier_one_refers_to_it():
    machines = page.machines(shown(MANY[:2]))
    glossary = Glossary(machines)
    for before, after in zip(machines[0].observed, machines[1].observed, strict=True):
        assert glossary.first(before) is None
        assert glossary.first(after) is before


def test_more_machines_of_a_kind_add_little_to_a_page():
    few, many = (len(html.document(shown(machines))) for machines in (MANY[:2], MANY))
    registers = len(html.document(shown(MANY[:1])))
    assert many - few < 2 * registers
