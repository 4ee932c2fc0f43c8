"""What runs in the process that trains: stages, their loop and losses, dynamics, optimiser."""
