"""Errors that end a driver or a run; all of the family of :mod:`halfkick.models.errors`."""

from __future__ import annotations

from ..models.errors import HalfkickError

__all__ = ["GuardError", "InputError", "ProtocolError", "RunError"]


class InputError(HalfkickError):
    """The XML, an address, a parameter or an option is not what it must be."""


class ProtocolError(HalfkickError):
    """What came from i-PI cannot be i-PI's, or an answer would stop it."""


class GuardError(HalfkickError):
    """The run was stopped before numbers that cannot be right corrupt it."""

    exit_code = 3
    verb = "stopped"


class RunError(HalfkickError):
    """A simulation that was started did not come to its end."""

    exit_code = 1
