"""Guards: force, displacement and gap are watched, and limits end a run."""

__all__ = ["GUARD_FILE", "UNCERTAIN_FILE"]

GUARD_FILE = "guard.xyz"
"""Where structures are saved at which a run is stopped, in the working directory."""

UNCERTAIN_FILE = "uncertain.xyz"
"""Where all structures are saved whose energy is less certain than it should be."""
