"""PostgreSQL: how sources that are, or lie in, one of its databases are reached."""
