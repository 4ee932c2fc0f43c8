"""Writes pictures to a file that moves: GIF by Pillow, MP4 by ffmpeg."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

__all__ = ["check_suffix", "write"]

Draw = Callable[[int], NDArray[np.uint8]]
"""A picture by its number, shape (height, width, 3)."""

HOLD_S = 1.5  # how long the last picture stays
COLORS = 127
"""Of a GIF, beside that of the background: enough for pale shades of a few elements."""


def check_suffix(path: Path) -> None:
    """Refuse what cannot be written.

    Raises:
        InputError: if it is neither a GIF nor an MP4, or what writes an MP4 is not installed.
    """
    if path.suffix not in WRITERS:
        raise InputError(
            f"expected a file that ends in {' or '.join(WRITERS)}, got '{path}'; name another --out"
        )
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise InputError(
                "expected imageio-ffmpeg for an MP4, got none; install it with: "
                'pip install "halfkick[movie]", or write a .gif'
            ) from error


def write(path: Path, draw: Draw, frames: int, fps: float) -> None:
    """Write a film.

    Args:
        path: ends in one of ``WRITERS``.
        draw: its pictures.
        frames: how many.
        fps: pictures per second.
    """
    WRITERS[path.suffix](path, draw, frames, fps)


def _gif(path: Path, draw: Draw, frames: int, fps: float) -> None:
    """All pictures by one palette, without dithering: what stands still costs nothing."""
    from PIL import Image

    sample = np.concatenate([draw(k) for k in sorted({0, frames // 2, frames - 1})])
    background = sample[0, 0]
    found = Image.fromarray(sample).quantize(COLORS)
    palette = np.array(found.getpalette(), dtype=np.uint8)[: 3 * COLORS]
    palette = np.concatenate([palette, background])

    def reduced(picture: NDArray[np.uint8]) -> Image.Image:
        nearest = Image.fromarray(picture).quantize(palette=found, dither=Image.Dither.NONE)
        indices = np.array(nearest)
        indices[(picture == background).all(axis=2)] = COLORS  # itself, not a shade like it
        image = Image.fromarray(indices)
        image.putpalette(palette.tobytes())
        return image

    pictures = [reduced(draw(k)) for k in range(frames)]
    shown_ms = [1e3 / fps] * (frames - 1) + [1e3 * HOLD_S]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=shown_ms, loop=0, disposal=1
    )


def _mp4(path: Path, draw: Draw, frames: int, fps: float) -> None:
    """H.264 with an even number of pixels, as players want it."""
    from imageio_ffmpeg import write_frames

    first = _even(draw(0))
    height, width, _ = first.shape
    writer = write_frames(str(path), (width, height), fps=fps, quality=7, macro_block_size=2)
    writer.send(None)
    for k in range(frames):
        writer.send(_even(draw(k)))
    for _ in range(round(HOLD_S * fps)):
        writer.send(_even(draw(frames - 1)))
    writer.close()


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    return np.ascontiguousarray(picture[: height - height % 2, : width - width % 2])


WRITERS = {".gif": _gif, ".mp4": _mp4}
