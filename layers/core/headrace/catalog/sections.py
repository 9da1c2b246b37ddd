"""What a catalog file may have."""

from headrace.catalog.application_entries import ApplicationEntry
from headrace.catalog.schema import (
    ClientEntry,
    ConfigurationEntry,
    Entry,
    RegionEntry,
    ScheduleEntry,
    SourceEntry,
    TenantEntry,
)
from headrace.catalog.template_entries import TemplateEntry

SECTIONS: dict[str, type[Entry]] = {
    "tenants": TenantEntry,
    "clients": ClientEntry,
    "sources": SourceEntry,
    "configurations": ConfigurationEntry,
    "schedules": ScheduleEntry,
    "applications": ApplicationEntry,
    "regions": RegionEntry,
    "templates": TemplateEntry,
}
"""The keys that a catalog file may have, each with a list of such entries."""
