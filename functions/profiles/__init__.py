"""Profiles: persons that are pushed into tenants, and the groups that they are seen by."""
