"""What a deployed platform needs before a client can use it: data, a catalog, credentials."""

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from local.deployment import STACK, api_url
from local.home import Home, write_whole
from local.platform import REGION, endpoint

Step = Callable[[str], AbstractContextManager[list[str]]]


def provide(home: Home, port: int, deployed: Mapping[str, str], step: Step) -> None:
    """Build the sample warehouse, publish the sample catalog, write headrace.json."""
    import json  # noqa: PLC0415

    if importlib.util.find_spec("local.sample") is not None:
        with step("warehouse") as said:
            from local.sample.warehouse import build  # noqa: PLC0415

            build(home.warehouse)
            said.append(str(home.warehouse))
    clients: list[dict[str, object]] = []
    about = {
        "api_url": api_url(port),
        "clients": clients,
        "aws_endpoint_url": endpoint(port),
        "region": REGION,
        "stack": STACK,
        "outputs": dict(deployed),
    }
    write_whole(home.outputs, json.dumps(about, indent=2) + "\n")
