"""Errors of a water model on frames labelled with SO3LR, by kind of frame.

::

    python evaluate.py                          # the model that ships on test.xyz
    python evaluate.py new.pt data/other.xyz

Forces in meV/Å (all, O, H), energies in meV/atom, stresses in bar.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ..frames import read_frames
from ..statistics import by_species, rms
from ..train.measure import BAR, errors_of, gap_of, predict_frames

HERE = Path(__file__).parent


def main() -> None:
    """Print a row for each role on each kind of frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=HERE / "water.pt")
    parser.add_argument("frames", nargs="*", default=[HERE / "test.xyz"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames = [frame for name in options.frames for frame in read_frames(name, ":")]
    for kind in sorted({frame.info["kind"] for frame in frames}):
        chosen = [frame for frame in frames if frame.info["kind"] == kind]
        predictions = predict_frames(options.model, chosen, "cpu")
        errors = errors_of(predictions)
        numbers = ", ".join(f"{s} {v.rmse_meV_per_A:.1f}" for s, v in gap_of(predictions).items())
        print(f"{kind}: {len(chosen)} frames; energy {errors['energy']:.2f}; gap {numbers}")
        for role, forces in predictions.forces.items():
            size = by_species(forces[..., 0], predictions.numbers)["all"]
            rmse = ", ".join(f"{s} {v:.1f}" for s, v in errors[f"forces_{role}"].items())
            wrong = predictions.stress[role][..., 1] - predictions.stress[role][..., 0]
            pressure = BAR * np.trace(wrong, axis1=1, axis2=2) / 3
            print(
                f"  {role}: forces {rmse} (of {1e3 * size.std():.0f}); stress "
                f"{errors[f'stress_{role}']:.0f}, a third of its trace {pressure.mean():+.0f} "
                f"on average, RMSE {rms(pressure):.0f}"
            )


if __name__ == "__main__":
    main()
