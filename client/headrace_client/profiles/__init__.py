"""Profiles that are pushed into tenants."""
