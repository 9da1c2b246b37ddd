"""Headrace: bulk data, from the systems that hold it to those entitled to it."""

__version__ = "0.1.0"
