"""Labelled frames: read, checked, divided, with their baseline, before anything is trained."""
