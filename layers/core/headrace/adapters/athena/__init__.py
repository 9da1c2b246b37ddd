"""Amazon Athena: tables of the Glue Data Catalog, unloaded to our storage by its own engine."""
