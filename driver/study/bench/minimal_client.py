"""A client that only reads and answers: the least that a round trip takes with Python.

Run as ``python -m halfkick.driver.study.bench.minimal_client SOCKET N_ATOMS BATCH``: i-PI's
protocol without a look at what it says, zeros for forces.
"""

from __future__ import annotations

import socket
import sys

import numpy as np

from ...server.wire.answer import Answer, encode_answer
from ...server.wire.messages import header

__all__ = ["serve"]


def serve(path: str, n_atoms: int, batch: int) -> None:
    """Answer whatever comes until EXIT."""
    shape = batch, n_atoms
    zeros = Answer(np.zeros(batch), np.zeros((*shape, 3)), np.zeros((batch, 3, 3)))
    answer = encode_answer(shape, zeros, None, shared=False)
    body = 4 + batch * 8 * (18 + 3 * n_atoms)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        file = sock.makefile("rb")
        initialized = False
        while (name := file.read(12).strip()) != b"EXIT":
            if name == b"STATUS":
                sock.sendall(header("READY" if initialized else "NEEDINIT"))
            elif name == b"INIT":
                file.read(4)
                file.read(int.from_bytes(file.read(4), sys.byteorder))
                initialized = True
            elif name == b"POSDATA":
                file.read(body)
            elif name == b"GETFORCE":
                sock.sendall(answer)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
