"""The groups of profiles and their categories, in the table of the profiles.

    pk              sk                          holds
    groups#TENANT   category#ID                 ``name``, ``sync_id``; ``revision``: counts writes
    groups#TENANT   group#ID                    the same, and ``category_id``
    groups#TENANT   named-category#NAME         ``of``: the id of the category of this name
    groups#TENANT   named-group#CATEGORY#NAME   ``of``: the id of the group; CATEGORY: an id or none
    groups#TENANT   synced-category#SYNC_ID     ``of``: the id of the category
    groups#TENANT   synced-group#SYNC_ID        ``of``: the id of the group

NAME is in the form that names are compared in. A key that would be longer than DynamoDB takes ends
in the SHA-256 of what is too long. A name or a sync id is taken and given up in one
transaction with what has it. Nothing here is personal data: which group somebody is in lies with
the profile.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.kernel.errors import Conflict, Fenced
from headrace.profiles.model import Category, Group, normal_name

_NOT_THERE = "attribute_not_exists(pk)"
_MOST_BYTES = 1024
"""Of a sort key."""


@dataclass(frozen=True)
class DynamoGroups:
    """The ``Groups`` port."""

    table: Table

    def groups(self, tenant: str) -> Sequence[Group]:
        """See the port."""
        found = (_group(tenant, item) for item in self.table.query(_partition(tenant), "group#"))
        return sorted(found, key=lambda one: (normal_name(one.name), one.group_id))

    def categories(self, tenant: str) -> Sequence[Category]:
        """See the port."""
        items = self.table.query(_partition(tenant), "category#")
        found = (_category(tenant, item) for item in items)
        return sorted(found, key=lambda one: (normal_name(one.name), one.category_id))

    def put_group(self, group: Group) -> None:
        """See the port."""
        self._put(_group_item(group), group.name)

    def put_category(self, category: Category) -> None:
        """See the port."""
        self._put(_category_item(category), category.name)

    def delete_group(self, group: Group) -> None:
        """See the port."""
        item = _group_item(group)
        taken = _claims(item)
        deletions = [
            self.table.to_delete(item["pk"], item["sk"], "#revision = :seen", seen=group.revision),
            *(self._given_up(item, sk) for sk in taken.values()),
        ]
        try:
            self.table.transact(deletions)
        except ConditionFailed:
            raise Fenced("Somebody else changed the group just now.") from None

    def _put(self, item: Item, name: str) -> None:
        """``item`` is as it is to be, with the revision that it was read at."""
        seen = item["revision"]
        before = self.table.get(item["pk"], item["sk"]) if seen else None
        if seen and (before is None or before["revision"] != seen):
            raise Fenced("Somebody else changed it just now.")
        actions = {"itself": self._itself(item, seen)}
        had, has = {} if before is None else _claims(before), _claims(item)
        for kind, sk in has.items():
            if had.get(kind) != sk:
                claim = {"pk": item["pk"], "sk": sk, "of": _id(item)}
                actions[kind] = self.table.to_put(claim, _NOT_THERE)
        for kind, sk in had.items():
            if has.get(kind) != sk:
                actions[f"old {kind}"] = self._given_up(item, sk)
        try:
            self.table.transact(list(actions.values()))
        except ConditionFailed as error:
            failed = {list(actions)[position] for position in error.failed}
            if failed == {"name"}:
                raise Conflict(f'There is another one of the name "{name}" already.') from None
            raise Fenced("Somebody else changed it just now.") from None

    def _itself(self, item: Item, seen: int) -> Item:
        written = {**item, "revision": seen + 1}
        if seen == 0:
            return self.table.to_put(written, _NOT_THERE)
        return self.table.to_put(written, "#revision = :seen", seen=seen)

    def _given_up(self, item: Item, sk: str) -> Item:
        return self.table.to_delete(item["pk"], sk, "#of = :id", id=_id(item))


def _partition(tenant: str) -> str:
    return f"groups#{tenant}"


def _id(item: Mapping[str, str]) -> str:
    return item["sk"].partition("#")[2]


def _claims(item: Item) -> dict[str, str]:
    """The keys that only one can have: of its name, and of its sync id."""
    return dict(_each_claim(item))


def _each_claim(item: Item) -> Iterator[tuple[str, str]]:
    kind, name = item["sk"].partition("#")[0], normal_name(item["name"])
    within = f"{item.get('category_id') or 'none'}#" if kind == "group" else ""
    yield "name", _claim(f"named-{kind}#{within}", name)
    if item.get("sync_id") is not None:
        yield "sync id", _claim(f"synced-{kind}#", item["sync_id"])


def _claim(prefix: str, text: str) -> str:
    """A text of 256 characters may have 1024 bytes by itself."""
    if len(f"{prefix}{text}".encode()) <= _MOST_BYTES:
        return prefix + text
    return f"{prefix}sha256#{hashlib.sha256(text.encode()).hexdigest()}"


def _group_item(group: Group) -> Item:
    return {
        "pk": _partition(group.tenant),
        "sk": f"group#{group.group_id}",
        "name": group.name,
        "category_id": group.category_id,
        "sync_id": group.sync_id,
        "revision": group.revision,
    }


def _category_item(category: Category) -> Item:
    return {
        "pk": _partition(category.tenant),
        "sk": f"category#{category.category_id}",
        "name": category.name,
        "sync_id": category.sync_id,
        "revision": category.revision,
    }


def _group(tenant: str, item: Item) -> Group:
    return Group(
        tenant,
        _id(item),
        item["name"],
        item.get("category_id"),
        item.get("sync_id"),
        item["revision"],
    )


def _category(tenant: str, item: Item) -> Category:
    return Category(tenant, _id(item), item["name"], item.get("sync_id"), item["revision"])
