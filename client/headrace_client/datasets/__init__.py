"""Data sets: configuration that is carried between the environments of an application."""
