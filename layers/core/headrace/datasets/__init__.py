"""Data sets: configuration that is carried between environments of an application (seed 001)."""
