"""What runs are worth: their statistics, the stride they bear, and the proof that MTS samples."""
