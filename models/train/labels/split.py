"""Divides frames into training, validation and test parts that do not know each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

__all__ = ["PARTS", "split"]

PARTS = ("train", "validation", "test")
PART_NAMES = {"train": "train", "training": "train", "valid": "validation", "val": "validation",
              "validation": "validation", "test": "test"}  # fmt: skip
GROUP_KEYS = ("trajectory", "traj", "traj_id", "trajectory_id", "run", "run_id", "group")
MIN_GROUPS = 5
MAX_BLOCKS = 20  # of frames of one kind


def split(frames: Sequence[Atoms], *, test: bool, seed: int) -> tuple[dict[str, list[Atoms]], str]:
    """Divide frames, a tenth each for validation and (if ``test``) for test.

    By ``split`` in their info if all have it; else by trajectories (``GROUP_KEYS``); else by
    contiguous blocks, since frames next to each other in a file are often alike. A species never
    is in validation or test only.

    Returns:
        The parts by name, and in words what went by.
    """
    parts: dict[str, list[Atoms]] = {part: [] for part in PARTS}
    names = [PART_NAMES.get(str(f.info.get("split", "")).lower(), "") for f in frames]
    if all(names) and {"train", "validation"} <= set(names):
        for atoms, part in zip(frames, names, strict=True):
            parts[part].append(atoms)
        return parts, "'split' in the frames' info"
    groups, how = grouped(frames)
    order = np.random.default_rng(seed).permutation(len(groups))
    wanted = {"validation": len(frames) / 10, "test": len(frames) / 10 if test else 0.0}
    for k in order:
        part = next(
            (p for p, n in wanted.items() if len(parts[p]) + 0.5 * len(groups[k]) <= n), "train"
        )
        parts[part] += groups[k]
    species = {z for f in parts["train"] for z in f.numbers.tolist()}
    for part in PARTS[1:]:
        parts["train"] += [f for f in parts[part] if not set(f.numbers.tolist()) <= species]
        parts[part] = [f for f in parts[part] if set(f.numbers.tolist()) <= species]
    return {p: sorted(fs, key=lambda f: f.info["frame"]) for p, fs in parts.items()}, how


def grouped(frames: Sequence[Atoms]) -> tuple[list[list[Atoms]], str]:
    """Return groups that stay together, and what they are."""
    for key in GROUP_KEYS:
        groups: dict[str, list[Atoms]] = {}
        for atoms in frames:
            groups.setdefault(str(atoms.info.get(key)), []).append(atoms)
        if "None" not in groups and len(groups) >= MIN_GROUPS:
            return list(groups.values()), f"'{key}' in the frames' info"
    kinds: dict[str, list[Atoms]] = {}
    for atoms in frames:
        kinds.setdefault(str(atoms.info.get("config_type")), []).append(atoms)
    blocks = [
        [members[i] for i in part]
        for members in kinds.values()
        for part in np.array_split(np.arange(len(members)), min(MAX_BLOCKS, len(members)))
    ]
    return blocks, "contiguous blocks of frames"
