"""Data sets: configuration that is carried between environments."""
