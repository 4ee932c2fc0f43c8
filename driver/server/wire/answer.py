"""The reply to a request: checked, then encoded as one piece."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....models.base import all_finite
from ...errors import ProtocolError
from .messages import header, int32

FORCEREADY = header("FORCEREADY")
NO_EXTRA = int32(0)


@dataclass(frozen=True, eq=False)
class Answer:
    """What i-PI gets for the structures of a request.

    Attributes:
        energies: shape (B,), hartree.
        forces: shape (B, N, 3), hartree/bohr.
        virials: ``-dE/dε``, shape (B, 3, 3), hartree.
        extras: B strings, text or JSON objects; ``None`` for none.
        known_finite: whether somebody has looked at all numbers and found them finite; if not,
            they are looked at before they are sent.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    extras: Sequence[str] | None = None
    known_finite: bool = False

    def padded(self, missing: int) -> Answer:
        """The same, with the last structure's numbers ``missing`` times more."""
        return Answer(
            _pad(self.energies, missing),
            _pad(self.forces, missing),
            _pad(self.virials, missing),
            None if self.extras is None else [*self.extras, *([self.extras[-1]] * missing)],
            self.known_finite,
        )


def _pad(array: NDArray[np.float64], missing: int) -> NDArray[np.float64]:
    """The array with its last row ``missing`` times more."""
    return np.concatenate([array, array[-1:].repeat(missing, axis=0)])


def encode_answer(
    shape: tuple[int, int],
    answer: Answer | None,
    extras: Sequence[str] | None,
    *,
    shared: bool,
) -> bytes:
    """Encode FORCEREADY and what follows it.

    The layout is that of a batch; with one structure it is the same as that of a single one.

    Args:
        shape: structures in the request and atoms in each, (B, N).
        answer: numbers of all B structures.
        extras: B strings, empty if ``None``.
        shared: leave the numbers out, as they travel through shared memory; they are checked
            unless ``answer`` is ``None``.

    Raises:
        ProtocolError: if the answer would stop i-PI or corrupt its run.
    """
    batch, n_atoms = shape
    numbers = []
    if answer is not None:
        known = answer.known_finite
        energies = _numbers("energies", answer.energies, (batch,), known)
        forces = _numbers("forces", answer.forces, (batch, n_atoms, 3), known)
        virials = _numbers("virials", answer.virials, (batch, 3, 3), known)
        if not shared:
            numbers = [energies.tobytes(), int32(n_atoms), forces.tobytes(), virials.tobytes()]
    elif not shared:
        raise ProtocolError(
            "expected numbers for FORCEREADY in state COMPUTING, got none; "
            "only with shared memory they need not be part of the reply"
        )
    texts = [NO_EXTRA * batch] if extras is None else _extras(extras, batch)
    return b"".join([FORCEREADY, *numbers, *texts])


def _numbers(
    field: str, values: NDArray[np.float64], shape: tuple[int, ...], known_finite: bool
) -> NDArray[np.float64]:
    """The values as float64 of the shape that is expected; ProtocolError if they are not."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ProtocolError(
            f"expected {field} of shape {shape} for FORCEREADY in state COMPUTING, "
            f"got {type(values).__name__}; {error}"
        ) from error
    if array.shape != shape:
        raise ProtocolError(
            f"expected {field} of shape {shape} for FORCEREADY in state COMPUTING, "
            f"got {array.shape}; check that the template is the structure i-PI moves"
        )
    if not (known_finite or all_finite(array)):
        raise ProtocolError(
            f"expected finite {field} for FORCEREADY in state COMPUTING, got nan or inf; "
            f"i-PI would go on with them: check the structure and the model"
        )
    return array


def _extras(extras: Sequence[str], batch: int) -> list[bytes]:
    """Encode extras; anything that would raise inside i-PI's polling thread is refused."""
    if len(extras) != batch:
        raise ProtocolError(
            f"expected {batch} extras for FORCEREADY in state COMPUTING, got {len(extras)}; "
            f"give one string for each structure"
        )
    encoded = []
    for extra in extras:
        try:
            fields = json.loads(extra)
        except (ValueError, RecursionError):
            fields = {}  # plain text, which i-PI takes as it is
        if not isinstance(fields, dict) or "raw" in fields:
            raise ProtocolError(
                f"expected extras for FORCEREADY in state COMPUTING to be text or a JSON object "
                f"without the key 'raw', got {extra[:80]!r}; i-PI would hang on it"
            )
        data = extra.encode()
        encoded += [int32(len(data)), data]
    return encoded
