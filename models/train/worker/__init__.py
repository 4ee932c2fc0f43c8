"""The process that trains: stages, their loop and losses, dynamics, optimiser."""
