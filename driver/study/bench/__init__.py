"""Times halfkick and what else can serve the same input to i-PI, in one run, turn by turn."""
