"""Names and texts as SQL has them, the same for every engine; and no engine is loaded for it."""


def literal(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def split_name(table: str) -> tuple[str, str]:
    """``schema.table`` → its two parts; only the table's name may have dots."""
    schema, _, name = table.partition(".")
    return schema, name
