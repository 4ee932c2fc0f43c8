"""Guards: force, displacement and gap are watched, and limits end a run."""

__all__ = ["GUARD_FILE"]

GUARD_FILE = "guard.xyz"
"""Where structures are saved at which a run is stopped, in the working directory."""
