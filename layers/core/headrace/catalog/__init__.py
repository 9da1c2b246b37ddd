"""The catalog: who may take what. Described in YAML, checked against the sources, published.

Operators keep the files in git (docs/catalog-reference.md). ``headrace-admin catalog publish``
turns them into a *published catalog*: one immutable version at a time, which the API reads.
"""
