"""A changed input stands as its author wrote it, but for what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.motion import Bath

INPUTS = Path(__file__).parents[2] / "ipi_inputs"
SCENARIOS = sorted(INPUTS.glob("*/input.xml"))

BY_HAND = """<?xml version="1.0"?>
<!-- by hand -->
<simulation verbosity="low"
            safe_stride='20'>
   <ffsocket name="a" mode='unix'><address>here</address></ffsocket>  <!-- mine & "yours" -->
   <system> <initialize nbeads='1'> <file mode='ase'> a.xyz </file> </initialize>
      <forces> <force forcefield='a'/> </forces>
      <motion mode='dynamics'>
         <dynamics mode='nvt'>
            <timestep units='femtosecond'>1.0</timestep>   <!-- as always -->
         </dynamics>
      </motion>
   </system>
</simulation>
<!-- end -->
"""


def changed(text, **what):
    return IpiInput.parse(text).replace(**what).laid_out_as(text)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_layout_of_what_says_the_same_stays(path):
    text = path.read_text()
    assert changed(text) == text
    what = {"seed": 7, "timestep_fs": 1.5, "attributes": {"safe_stride": "11"}}
    other = changed(text, **what)
    told, wanted = IpiInput.parse(other), IpiInput.parse(text).replace(**what)
    assert "".join(told.text.split()) == "".join(wanted.text.split())
    lines = zip(text.splitlines(), other.splitlines(), strict=True)
    assert sum(a != b for a, b in lines) == 3


def test_layout_changes_only_the_words_that_differ():
    other = changed(BY_HAND, timestep_fs=2.0, beads=4)
    assert other == BY_HAND.replace("'1'", "'4'").replace(">1.0<", "> 2 <")


def test_layout_puts_new_elements_after_remarks_and_as_far_in_as_their_neighbours():
    other = changed(BY_HAND, nmts=(1, 4), thermostat=Bath("svr", 100.0))
    after = """<!-- as always -->
            <thermostat mode='svr'> <tau units='femtosecond'> 100 </tau> </thermostat>
            <nmts> [1, 4] </nmts>
"""
    assert other == BY_HAND.replace("<!-- as always -->\n", after)


def test_layout_cuts_out_what_is_gone():
    other = changed(changed(BY_HAND, nmts=(1, 4)), nmts=())
    assert other == BY_HAND


def test_layout_escapes_what_xml_does_not_bear():
    model = "python:a:b?c=1&d='<2>'"
    source = IpiInput.parse(BY_HAND).replace_socket("a", parameters={"model": model})
    text = source.replace(attributes={"sockets_prefix": "/tmp/o'clock<"}).laid_out_as(BY_HAND)
    (socket,) = IpiInput.parse(text).sockets
    assert socket.parameters == {"model": model}
    assert socket.address.prefix == "/tmp/o'clock<"
