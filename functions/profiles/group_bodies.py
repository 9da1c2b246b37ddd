"""What bodies of calls about groups hold."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from headrace.profiles.grouping import Pushed, Ref
from headrace.profiles.membership import MOST_AT_ONCE
from headrace.profiles.model import MOST_GROUPS
from profiles.bodies import Body, Name, TenantId

Id = Annotated[str, Field(min_length=1, max_length=64)]
Ids = Annotated[tuple[Id, ...], Field(strict=False)]
SyncIds = Annotated[tuple[Name, ...], Field(strict=False)]


class ImportedCategory(Body):
    """A category of groups, as another system has it."""

    tenant_id: TenantId = Field(description="The tenant, by its organization id")
    name: Name
    id: Id | None = Field(None, description="Which of ours it is, if you know")
    sync_id: Name | None = Field(None, description="What you call it")

    def pushed(self) -> Pushed:
        """What it says of which."""
        return Pushed(self.name, self.id, self.sync_id)


class ImportedGroup(ImportedCategory):
    """A group, as another system has it."""

    category_id: Id | None = Field(None, description="Its category, by our id")
    category_sync_id: Name | None = Field(None, description="Its category, by yours")

    @property
    def category(self) -> Ref | None:
        """Its category, if one is named."""
        if self.category_id is None and self.category_sync_id is None:
            return None
        return Ref(self.category_id, self.category_sync_id)


class ProfileGroups(Body):
    """A profile, and groups; each by our id or by yours."""

    tenant_id: TenantId = Field(description="The tenant, by its organization id")
    profile_id: Id | None = Field(None, description="The profile, by our id")
    sync_id: Name | None = Field(None, description="The profile, by yours")
    group_ids: Annotated[Ids, Field(max_length=MOST_GROUPS)] = ()
    group_sync_ids: Annotated[SyncIds, Field(max_length=MOST_GROUPS)] = ()

    @model_validator(mode="after")
    def _names_a_profile(self) -> Self:
        if (self.profile_id is None) == (self.sync_id is None):
            raise ValueError("must name the profile by profileId or by syncId")
        return self

    @property
    def profile(self) -> Ref:
        """The profile."""
        return Ref(self.profile_id, self.sync_id)

    @property
    def groups(self) -> tuple[Ref, ...]:
        """The groups."""
        return (*map(Ref, self.group_ids), *(Ref(sync_id=one) for one in self.group_sync_ids))


class GroupProfiles(Body):
    """A group, and profiles; each by our id or by yours."""

    tenant_id: TenantId = Field(description="The tenant, by its organization id")
    group_id: Id | None = Field(None, description="The group, by our id")
    group_sync_id: Name | None = Field(None, description="The group, by yours")
    profile_ids: Annotated[Ids, Field(max_length=MOST_AT_ONCE)] = ()
    sync_ids: Annotated[SyncIds, Field(max_length=MOST_AT_ONCE)] = ()

    @model_validator(mode="after")
    def _names_a_group(self) -> Self:
        if (self.group_id is None) == (self.group_sync_id is None):
            raise ValueError("must name the group by groupId or by groupSyncId")
        return self

    @property
    def group(self) -> Ref:
        """The group."""
        return Ref(self.group_id, self.group_sync_id)

    @property
    def profiles(self) -> tuple[Ref, ...]:
        """The profiles."""
        return (*map(Ref, self.profile_ids), *(Ref(sync_id=one) for one in self.sync_ids))
