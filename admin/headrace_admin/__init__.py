"""Headrace from the operator's side: the command ``headrace-admin``."""
