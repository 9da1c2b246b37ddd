"""Audit: what was done, for those who manage who did it."""
