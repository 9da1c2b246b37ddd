"""Data sets in DynamoDB.

A partition holds all that one tenant has of data sets; ``data_set_processes`` keeps more in it.

    pk          sk                          holds
    TENANT      SET#DEFINITION#CODE         a data set
    TENANT      SETID#ID                    ``definition`` and ``code`` of the one with this id

No code holds a ``#`` (``headrace.datasets.model.CODE``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.datasets.model import DataSet, Exclusion, Options, Process
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Fenced
from headrace.kernel.idempotency import IdempotencyKey


@dataclass(frozen=True)
class DynamoDataSets:
    """The ``DataSets`` port."""

    table: Table

    def add(self, data_set: DataSet) -> bool:
        """See the port."""
        try:
            self.table.transact(to_add(self.table, data_set))
        except ConditionFailed:
            return False
        return True

    def find(self, tenant: str, definition: str, code: str) -> DataSet | None:
        """See the port."""
        item = self.table.get(tenant, _sort(definition, code))
        return None if item is None else _data_set(tenant, item)

    def by_id(self, tenant: str, data_set_id: str) -> DataSet | None:
        """See the port."""
        found = self.table.get(tenant, f"SETID#{data_set_id}")
        return None if found is None else self.find(tenant, found["definition"], found["code"])

    def of_definition(self, tenant: str, definition: str) -> tuple[DataSet, ...]:
        """See the port."""
        items = self.table.query(tenant, f"SET#{definition}#")
        return tuple(_data_set(tenant, item) for item in items)

    def built(self, data_set: DataSet, process: Process) -> None:
        """See the port."""
        put = self.table.to_put(_item(data_set), "attribute_exists(pk)")
        still = self.table.to_check(
            process.tenant,
            f"PROCESS#{process.process_id}",
            "attribute_exists(pk) AND attribute_not_exists(ended_at) AND attempt = :attempt",
            attempt=process.attempt,
        )
        try:
            self.table.transact([put, still])
        except ConditionFailed:
            raise Fenced("The process has ended, or another one has taken its lease.") from None


def to_add(table: Table, data_set: DataSet) -> list[Item]:
    """What adds it, if it is not there, for ``transact``."""
    return [
        table.to_put(_item(data_set), "attribute_not_exists(pk)"),
        table.to_put(
            {
                "pk": data_set.tenant,
                "sk": f"SETID#{data_set.data_set_id}",
                "definition": data_set.definition,
                "code": data_set.code,
            }
        ),
    ]


def to_change(table: Table, data_set: DataSet) -> Item:
    """What changes its description, options and time, for ``transact``."""
    return table.to_update(
        data_set.tenant,
        _sort(data_set.definition, data_set.code),
        "SET description = :description, #options = :options, updated_at = :updated",
        "attribute_exists(pk)",
        description=data_set.description,
        options=_options_text(data_set.options),
        updated=rfc3339(data_set.updated_at),
    )


def _sort(definition: str, code: str) -> str:
    return f"SET#{definition}#{code}"


def _item(data_set: DataSet) -> Item:
    built_at = data_set.payload_built_at
    return {
        "pk": data_set.tenant,
        "sk": _sort(data_set.definition, data_set.code),
        "definition": data_set.definition,
        "code": data_set.code,
        "data_set_id": data_set.data_set_id,
        "description": data_set.description,
        "options": _options_text(data_set.options),
        "created_at": rfc3339(data_set.created_at),
        "updated_at": rfc3339(data_set.updated_at),
        "number_of_items": data_set.number_of_items,
        "payload_key": data_set.payload_key,
        "payload_built_at": rfc3339(built_at) if built_at else None,
        "payload_bytes": data_set.payload_bytes,
        "is_full": data_set.is_full,
        "created_with": _key_item(data_set.created_with),
    }


def _data_set(tenant: str, item: Mapping[str, Any]) -> DataSet:
    built_at = item.get("payload_built_at")
    return DataSet(
        tenant=tenant,
        definition=item["definition"],
        code=item["code"],
        data_set_id=item["data_set_id"],
        description=item["description"],
        options=_options(json.loads(item["options"])),
        created_at=from_rfc3339(item["created_at"]),
        updated_at=from_rfc3339(item["updated_at"]),
        number_of_items=item["number_of_items"],
        payload_key=item.get("payload_key"),
        payload_built_at=from_rfc3339(built_at) if built_at else None,
        payload_bytes=item["payload_bytes"],
        is_full=item["is_full"],
        created_with=IdempotencyKey(**key) if (key := item.get("created_with")) else None,
    )


def _key_item(key: IdempotencyKey | None) -> Item | None:
    if key is None:
        return None
    return {"key": key.key, "body_sha256": key.body_sha256}


def _options_text(options: Options) -> str:
    return json.dumps(
        {
            "exclusions": [[one.top, one.dependent] for one in options.exclusions],
            "global_includes": list(options.global_includes),
            "exact_version_match": options.exact_version_match,
            "disable_delete_by_omission": options.disable_delete_by_omission,
            "inclusion_date": options.inclusion_date,
        }
    )


def _options(kept: Mapping[str, Any]) -> Options:
    return Options(
        exclusions=tuple(Exclusion(*pair) for pair in kept["exclusions"]),
        global_includes=tuple(kept["global_includes"]),
        exact_version_match=kept["exact_version_match"],
        disable_delete_by_omission=kept["disable_delete_by_omission"],
        inclusion_date=kept["inclusion_date"],
    )
