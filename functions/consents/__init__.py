"""Consents: whose data a caller may see."""
