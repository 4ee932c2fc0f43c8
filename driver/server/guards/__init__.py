"""What is watched while a run goes on, and the limits that end it."""
