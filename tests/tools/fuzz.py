"""Mutated conversations with i-PI: each ends in events or in one clear error.

``python tests/tools/fuzz.py --count 1000000 --seed 0`` mutates messages of valid conversations,
cuts the stream anywhere, and says how long the slowest conversation took and whether memory grew.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from wire import CASES, Case, plain

from halfkick.driver.errors import ProtocolError
from halfkick.driver.server.journal import memory_MB
from halfkick.driver.server.wire.answer import Answer
from halfkick.driver.server.wire.protocol import Protocol, State

HEADERS = [
    name.ljust(12).encode()
    for name in ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT", "FORCEREADY", "status")
]
# names a state, and a header or a field after one
CLEAR = re.compile(
    r"^expected .*(header|STATUS|INIT|POSDATA|GETFORCE|EXIT).* in state "
    r"(NEEDINIT|READY|POSITIONS|COMPUTING|CLOSED)\b.*; .+",
    re.DOTALL,
)
INTEGERS = [-(2**31), -1, 0, 1, 2, 3, 255, 2**16, 2**16 + 1, 2**20, 2**20 + 1, 10**8, 2**31 - 1]
WARM = 20_000  # conversations before memory is looked at


def outcome(turns, sizes, shared):
    """Everything a conversation leads to: events, replies, error, end.

    Each turn is a piece of the stream that is followed by an answer where one is owed. Pieces
    are cut to the sizes, taken in turn; empty sizes leave them whole.
    """
    protocol = Protocol(shared=shared)
    events, replies, error, fed = [], b"", None, 0
    try:
        for data in turns:
            start = 0
            while start < len(data):
                size = sizes[fed % len(sizes)] if sizes else len(data)
                events += [plain(event) for event in protocol.receive(data[start : start + size])]
                start += size
                fed += 1
                assert len(protocol._buffer) <= sum(map(len, turns))
            if protocol.state is State.COMPUTING:
                answer(protocol, shared)
        replies = protocol.outgoing()
        protocol.end_of_stream()
    except ProtocolError as caught:
        error = str(caught)
        assert CLEAR.match(error), error
        replies += protocol.outgoing()
        assert protocol.state is State.CLOSED
    return None if error else events, replies, error, protocol.state


def answer(protocol, shared):
    batch, n_atoms = protocol.batch_size, protocol._request.n_atoms
    shapes = (batch,), (batch, n_atoms, 3), (batch, 3, 3)
    protocol.answer(None if shared else Answer(*map(np.zeros, shapes)))


def sent(case: Case) -> list[bytes]:
    return [turn.sent for turn in case.turns]


def mutate(stream: bytes, rng: random.Random) -> bytes:
    """A stream with one to four changes; always another one."""
    changed = bytearray(stream)
    while changed == stream:
        for _ in range(rng.choice([1, 1, 2, 4])):
            where = rng.randint(0, len(changed))
            kind = rng.randrange(7)
            if kind == 0:  # other bytes
                count = rng.choice([1, 1, 2, 4, 8])
                changed[where : where + count] = rng.randbytes(count)
            elif kind == 1:  # cut short
                del changed[where:]
            elif kind == 2:  # a piece less
                del changed[where : where + rng.choice([1, 4, 12, 100])]
            elif kind == 3:  # a header more, or instead of bytes
                removed = rng.choice([0, 12])
                changed[where : where + removed] = rng.choice(HEADERS)
            elif kind == 4:  # another length, where one may stand
                number = struct.pack("=i", rng.choice(INTEGERS))
                changed[where : where + rng.choice([0, 4])] = number
            elif kind == 5:  # a piece of another conversation
                other = rng.choice(sent(rng.choice(CASES)))
                start = rng.randint(0, len(other))
                changed[where : where + rng.choice([0, 12])] = other[start:][: rng.randint(1, 400)]
            else:  # a piece of its own once more
                changed[where:where] = changed[rng.randint(0, len(changed)) :][: rng.randint(1, 99)]
    return bytes(changed)


@dataclass
class Report:
    """What came of it.

    Attributes:
        ends: conversations that ended well or in an error, by its state.
        slowest_ms: CPU time of the slowest one.
        memory: resident MB after WARM conversations and at the end.
    """

    ends: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    memory: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        ends = ", ".join(f"{name} {count}" for name, count in self.ends.most_common())
        return (
            f"{self.ends.total()} mutated conversations: {ends}\n"
            f"slowest {self.slowest_ms:.1f} ms of CPU time, "
            f"memory {self.memory[0]:.1f} MB, at the end {self.memory[1]:.1f} MB"
        )


def fuzz(count: int, seed: int) -> Report:
    """Have ``count`` conversations of which one turn was mutated."""
    rng, report, memory = random.Random(seed), Report(), memory_MB()
    for number in range(count):
        case = rng.choice(CASES)
        turns = sent(case)
        which = rng.randrange(len(turns))
        turns[which] = mutate(turns[which], rng)
        sizes = [rng.randint(1, 400) for _ in range(rng.randrange(4))]
        begin = time.thread_time()
        error = outcome(turns, sizes, case.shared)[2]
        report.slowest_ms = max(report.slowest_ms, 1e3 * (time.thread_time() - begin))
        report.ends["well" if error is None else f"error in {CLEAR.match(error)[2]}"] += 1
        if number == WARM:
            memory = memory_MB()
    report.memory = memory, memory_MB()
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(fuzz(options.count, options.seed))
