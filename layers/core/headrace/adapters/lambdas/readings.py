"""Workers that read templates' rows, as invocations of a Lambda function that nobody waits for."""

import json
from dataclasses import dataclass
from typing import Any

from headrace.adapters.answers import answer_of
from headrace.templates.model import Walk


@dataclass(frozen=True)
class LambdaReadings:
    """The ``Readings`` port. Lambda may deliver an invocation twice: the walk is taken once."""

    client: Any
    function: str

    @answer_of("The service that runs the workers")
    def start(self, walk: Walk) -> None:
        """See the port."""
        event = {
            "tenant": walk.reader.tenant,
            "reader": walk.reader.name,
            "walk_id": walk.walk_id,
        }
        self.client.invoke(
            FunctionName=self.function,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )
