"""The reply to a request: checked, then encoded as one piece."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....models.base import all_finite
from ...errors import ProtocolError
from .messages import header, int32

FORCEREADY = header("FORCEREADY")
NO_EXTRA = int32(0)


def encode_answer(
    shape: tuple[int, int],
    energies: ArrayLike | None,
    forces: ArrayLike | None,
    virials: ArrayLike | None,
    extras: Sequence[str] | None,
    *,
    shared: bool,
) -> bytes:
    """Encode FORCEREADY and what follows it.

    The layout is that of a batch; with one structure it is the same as that of a single one.

    Args:
        shape: structures in the request and atoms in each, (B, N).
        energies: shape (B,).
        forces: shape (B, N, 3).
        virials: shape (B, 3, 3).
        extras: B strings, empty if ``None``.
        shared: leave the numbers out, as they travel through shared memory; they are checked
            unless ``energies`` is ``None``.

    Raises:
        ProtocolError: if the answer would stop i-PI or corrupt its run.
    """
    batch, n_atoms = shape
    numbers = []
    if not (shared and energies is None):
        pot = _numbers("energies", energies, (batch,))
        force = _numbers("forces", forces, (batch, n_atoms, 3))
        vir = _numbers("virials", virials, (batch, 3, 3))
        if not shared:
            numbers = [pot.tobytes(), int32(n_atoms), force.tobytes(), vir.tobytes()]
    texts = [NO_EXTRA * batch] if extras is None else _extras(extras, batch)
    return b"".join([FORCEREADY, *numbers, *texts])


def _numbers(field: str, values: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
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
    if not all_finite(array):
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
