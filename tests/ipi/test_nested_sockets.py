"""A socket inside of another of i-PI's force fields is served where i-PI listens for it."""

from __future__ import annotations

import os

import numpy as np
from simulation import Case, last_positions, simulate


def rotated(xml: str) -> str:
    """Conservative forces by way of ``<ffrotations>``, to which i-PI gives no sockets_prefix."""
    name = f"hk_nested_{os.getpid()}"
    before, middle, after = (
        "<ffrotations name='conservative'><ffsocket name='inner'",
        f"<address> {name} </address>",
        "</ffsocket></ffrotations>",
    )
    return (
        xml.replace("<ffsocket name='conservative'", before)
        .replace("<address> conservative </address>", middle)
        .replace("</ffsocket>", after, 1)
    )


def test_socket_in_ffrotations_is_served(tmp_path):
    positions = []
    for name, edit in (("plain", lambda xml: xml), ("rotated", rotated)):
        folder = tmp_path / name
        folder.mkdir()
        positions.append(last_positions(simulate(folder, Case(steps=4), edit=edit)))
    np.testing.assert_allclose(positions[1], positions[0], rtol=0, atol=1e-10)
    assert "unix /tmp/ipi_hk_nested" in (tmp_path / "rotated" / "driver.log").read_text()


def turned_at_random(kind: str, address: str):
    """Each request in another orientation, mirrored or not, always in the same order."""
    replacements = (
        (f"<{kind} name='conservative'", f"<ffrotations name='conservative'><{kind} name='inner'"),
        ("<address> conservative </address>", f"<address> {address} </address>"),
        (f"</{kind}>", f"</{kind}> <random> True </random> <prng> <seed> 5 </seed> </prng>"
                       "</ffrotations>"),
    )  # fmt: skip

    def edit(xml: str) -> str:
        for old, new in replacements:
            xml = xml.replace(old, new, 1)
        return xml

    return edit


def test_structures_turned_at_random_are_served_as_by_ipis_own_driver(tmp_path):
    """The guard knows turned copies for what they are; with the prefix that i-PI does not pass."""
    positions = []
    for kind, mode in (("ffsocket", "unix"), ("ffdirect", None)):
        folder = tmp_path / kind
        folder.mkdir()
        case = Case(roles=("conservative",), strides=(1,), steps=10, mode=mode)
        edit = turned_at_random(kind, f"hk_turned_{os.getpid()}")
        positions.append(last_positions(simulate(folder, case, edit=edit)))
    np.testing.assert_allclose(positions[0], positions[1], rtol=0, atol=1e-9)
    log = (tmp_path / "ffsocket" / "driver.log").read_text()
    assert "warning" not in log and "unix /tmp/ipi_hk_turned" in log
