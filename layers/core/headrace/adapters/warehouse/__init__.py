"""Reading sources with DuckDB and writing documents: the Warehouse port.

``duckdb_warehouse`` answers the port; ``sources`` knows the kinds of source and their versions;
``engine`` opens DuckDB, locked down; ``values`` has the canonical form of every type
(docs/types.md); ``streaming`` makes a COPY into a stream of bytes, without a disk.
"""
