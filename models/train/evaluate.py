"""Errors of a model with both forces on labelled frames, by their kind (``kind`` in their info).

::

    python -m halfkick.models.train.evaluate water.pt test.xyz

Forces in meV/Å (all, then by species), energies in meV/atom, stresses in bar.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ..frames import read_frames
from ..statistics import by_species, rms
from .measure import BAR, errors_of, gap_of, predict_frames


def main() -> None:
    """Print a row for each role on each kind of frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("frames", nargs="+", help="FILE, or FILE@SLICE")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames = [
        frame
        for name in options.frames
        for frame in read_frames(name, None if "@" in name else ":")
    ]
    for kind in sorted({frame.info.get("kind", "all") for frame in frames}):
        chosen = [frame for frame in frames if frame.info.get("kind", "all") == kind]
        predictions = predict_frames(options.model, chosen, "cpu")
        errors = errors_of(predictions)
        numbers = ", ".join(f"{s} {v.rmse_meV_per_A:.1f}" for s, v in gap_of(predictions).items())
        print(f"{kind}: {len(chosen)} frames; energy {errors['energy']:.2f}; gap {numbers}")
        for role, forces in predictions.forces.items():
            size = by_species(forces[..., 0], predictions.numbers)["all"]
            rmse = ", ".join(f"{s} {v:.1f}" for s, v in errors[f"forces_{role}"].items())
            text = f"  {role}: forces {rmse} (of {1e3 * size.std():.0f})"
            if f"stress_{role}" in errors:
                wrong = predictions.stress[role][..., 1] - predictions.stress[role][..., 0]
                pressure = BAR * np.trace(wrong, axis1=1, axis2=2) / 3
                text += (
                    f"; stress {errors[f'stress_{role}']:.0f}, a third of its trace "
                    f"{pressure.mean():+.0f} on average, RMSE {rms(pressure):.0f}"
                )
            print(text)


if __name__ == "__main__":
    main()
