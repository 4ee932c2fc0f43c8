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
