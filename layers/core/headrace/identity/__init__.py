"""Who calls: access tokens issued and verified, client secrets, networks."""
