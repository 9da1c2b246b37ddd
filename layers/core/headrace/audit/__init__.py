"""Who got access, and who took what: a trail that only grows, and what is counted of it."""
