"""A deployment with ``DpopNonces=required``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from local.deployment import Deployment
from tests.system.deployed import Platform


@contextmanager
def nonces_required(platform: Platform) -> Iterator[None]:
    """Deployed with the parameter, as an operator changes a running one, until the block ends."""
    _, _, port = platform.about["aws_endpoint_url"].rpartition(":")
    deployment = Deployment(platform.home, int(port), os.environ)
    with platform.home.alone():
        replace(deployment, overrides={"DpopNonces": "required"}).deploy_parameters()
    try:
        yield
    finally:
        with platform.home.alone():
            deployment.deploy_parameters()
