"""Payloads of data sets as files: ZIP archives and XML documents, written and read as streams."""
