"""Profiles: persons whom a patient or athlete management system pushes into a tenant (seed 004)."""
