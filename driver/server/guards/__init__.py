"""What is watched while a run goes on, and the limits that end it."""

__all__ = ["GUARD_FILE"]

GUARD_FILE = "guard.xyz"
"""Where structures are saved at which a run is stopped, in the working directory."""
