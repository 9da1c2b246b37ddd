"""Executions of one state machine in Step Functions, by their names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code

_SERVICE = "The workflow service"


@dataclass(frozen=True)
class Executions:
    """Starts, stops and looks at them. Raises Unavailable."""

    client: Any
    state_machine: str

    @answer_of(_SERVICE)
    def start(self, name: str, given: Mapping[str, object]) -> None:
        """Starts the execution with this name; again is harmless."""
        try:
            self.client.start_execution(
                stateMachineArn=self.state_machine, name=name, input=json.dumps(given)
            )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    @answer_of(_SERVICE)
    def stop(self, name: str, cause: str) -> None:
        """Ends the execution, if it runs."""
        try:
            self.client.stop_execution(executionArn=self._arn(name), error="Cancelled", cause=cause)
        except ClientError as error:
            if error_code(error) not in ("ExecutionDoesNotExist", "ValidationException"):
                raise

    @answer_of(_SERVICE)
    def is_running(self, name: str) -> bool | None:
        """Does it run; None if it never began."""
        try:
            reply = self.client.describe_execution(executionArn=self._arn(name))
        except ClientError as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return None
            raise
        return bool(reply["status"] == "RUNNING")

    def _arn(self, name: str) -> str:
        return f"{self.state_machine.replace(':stateMachine:', ':execution:')}:{name}"
