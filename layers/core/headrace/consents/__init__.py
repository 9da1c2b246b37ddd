"""Whose data a caller may see: account holders, organisations, and what they agreed to."""
