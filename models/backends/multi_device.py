"""One model on several devices: structures are shared out over a copy on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..base import ForceModel, ForceResult, Role, Structure
from .batch_size import split_evenly

__all__ = ["MultiDeviceModel"]


class MultiDeviceModel(ForceModel):
    """Evaluates parts of a batch at the same time, each with one of several copies of a model.

    Args:
        copies: equal models, each with a device of its own.
    """

    def __init__(self, copies: Sequence[ForceModel]) -> None:
        self.name = copies[0].name
        self.capabilities = copies[0].capabilities
        self.expected_gap = copies[0].expected_gap
        self._copies = copies
        self._pool = ThreadPoolExecutor(len(copies), thread_name_prefix="halfkick-device")

    @property
    def needs_virial(self) -> bool:  # type: ignore[override]  # an attribute that all copies share
        """As of all copies."""
        return self._copies[0].needs_virial

    @needs_virial.setter
    def needs_virial(self, value: bool) -> None:
        """Set it for all copies."""
        for copy in self._copies:
            copy.needs_virial = value

    @property
    def wanted_outputs(self) -> frozenset[str]:  # type: ignore[override]  # likewise
        """As of all copies."""
        return self._copies[0].wanted_outputs

    @wanted_outputs.setter
    def wanted_outputs(self, value: frozenset[str]) -> None:
        """Set them for all copies."""
        for copy in self._copies:
            copy.wanted_outputs = value

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate; a structure of the same place in the batch goes to the same device."""
        return [*self.evaluate_in_parts(structures, roles)][-1] if structures else []

    def evaluate_in_parts(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> Iterator[list[Mapping[Role, ForceResult]]]:
        """Evaluate, and yield whenever the copies have more results."""
        parts = split_evenly(structures, len(self._copies))
        streams = [
            copy.evaluate_in_parts(part, roles)
            for copy, part in zip(self._copies, parts, strict=False)
        ]
        latest: list[list[Mapping[Role, ForceResult]]] = [[] for _ in streams]
        while True:
            new = list(self._pool.map(lambda stream: next(stream, None), streams))
            if all(results is None for results in new):
                return
            latest = [old if now is None else now for old, now in zip(latest, new, strict=True)]
            yield [result for part in latest for result in part]
