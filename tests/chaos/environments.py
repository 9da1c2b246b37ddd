"""Environments that data sets are carried in: a tenant, its client, its application's database."""

import secrets
from dataclasses import replace
from pathlib import Path

from headrace.catalog.model import Tenant
from headrace.datasets.ending import ENDPOINT, secrets_owner
from headrace.datasets.environments import (
    CREDENTIAL,
    EXPORT_ENDPOINT,
    IMPORT_ENDPOINT,
    SOURCES,
)
from headrace.exports.delivering import IssueWebhookSecret
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from local.postgresql import Server
from local.sample.applications import SampleApplication
from tests.chaos.data_sets import DEFINITION, Environment
from tests.chaos.proxy import Proxy
from tests.system.conftest import NORTHWIND, Clients
from tests.system.exports.test_webhooks import Receiver

BUILT, IMPORTED = "BUILT", "IMPORTED"
"""The codes of the data sets: of the one that is built again and again, and of the other one."""

_SCOPES = ("dataexchange", "datasetoperation:createandexport")


def environment(clients: Clients, proxy: Proxy, here: Receiver, folder: Path) -> Environment:
    """One that nobody else has, which reaches its database through the proxy.

    ``folder``: an empty one, of a short path, for the proxy's socket.
    """
    platform = clients.platform
    server, name = Server(platform.home.roster), f"chaos_{secrets.token_hex(3)}"
    tenant = name.replace("_", "-")
    pristine = f"{name}_pristine"
    SampleApplication("claims").create(server, pristine, "test")
    server.run("UPDATE claims.task_queue SET begun_at = NULL", pristine)
    proxy.of_database(server.socket_folder / ".s.PGSQL.5432", folder, tenant)
    sample = next(one for one in clients.base.applications if one.tenant == NORTHWIND)
    application = replace(
        sample,
        application_id=tenant,
        tenant=tenant,
        options={**sample.options, "host": str(folder), "database": name},
    )
    clients.add_tenant(Tenant(tenant, "Of the chaos", "UTC"), NORTHWIND)
    clients.applications.append(application)
    integrator = clients.special(tenant, "cost_centres", scopes=_SCOPES)
    made = Environment(integrator, application, server, name, pristine, here)
    made.make_anew()
    endpoint = here.url.partition("?")[0]
    for told, value in (
        (f"{SOURCES}CONF", f"{platform.api_url}/dataexchange"),
        (EXPORT_ENDPOINT, endpoint),
        (IMPORT_ENDPOINT, endpoint),
    ):
        made.call("POST", "/api/generic/properties", json={"name": told, "value": value})
    issue = IssueWebhookSecret(platform.deployment.webhook_secrets(), SystemClock(), RandomIds())
    issue(secrets_owner(tenant), ENDPOINT)
    login = {"username": integrator.client_id, "password": integrator.client_secret}
    made.call("PUT", f"/api/credentials/credential/{CREDENTIAL}", json=login)
    for code in (BUILT, IMPORTED):
        path = f"/dataexchange/createandexport/datasetdefinition/{DEFINITION}/dataset"
        made.done(path, {"code": code, "description": "All that there is"})
    return made
