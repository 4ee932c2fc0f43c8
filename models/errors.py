"""The errors of halfkick: each is for the user, and says what was expected, got, and what to do.

A command ends with the ``exit_code`` of the error, after one line on standard error.
"""

from __future__ import annotations

__all__ = ["DataError", "HalfkickError", "ModelError", "Unsupported"]


class HalfkickError(Exception):
    """What all errors that a user can mend have in common.

    Attributes:
        exit_code: of a command that this error ends.
        verb: how the line on standard error begins.
    """

    exit_code = 2
    verb = "error"


class ModelError(HalfkickError):
    """A model cannot be loaded or cannot do what is asked."""


class Unsupported(ModelError):
    """A model has a part that this engine does not know; another engine may take it."""


class DataError(HalfkickError):
    """Structures or labels cannot be right, or are too few."""
