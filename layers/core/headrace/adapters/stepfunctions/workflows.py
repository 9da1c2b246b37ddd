"""The export workflow as executions in Step Functions, one per operation and attempt."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.exports.model import Operation

_SERVICE = "The workflow service"


@dataclass(frozen=True)
class StepFunctionsWorkflows:
    """The ``Workflows`` port."""

    client: Any
    state_machine: str

    @answer_of(_SERVICE)
    def start(self, operation: Operation) -> None:
        """Starts the execution of the operation's attempt; again is harmless."""
        try:
            self.client.start_execution(
                stateMachineArn=self.state_machine,
                name=operation.execution_name,
                input=json.dumps(
                    {
                        "tenant": operation.tenant,
                        "client_id": operation.client_id,
                        "operation_id": operation.operation_id,
                        "attempt": operation.attempt,
                    }
                ),
            )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    @answer_of(_SERVICE)
    def stop(self, operation: Operation) -> None:
        """Ends the execution, if it runs."""
        try:
            self.client.stop_execution(
                executionArn=self._arn(operation),
                error="Cancelled",
                cause="cancelled by the client",
            )
        except ClientError as error:
            if error_code(error) not in (
                "ExecutionDoesNotExist",
                "ValidationException",
            ):
                raise

    @answer_of(_SERVICE)
    def is_running(self, operation: Operation) -> bool | None:
        """Does the execution of the operation's attempt run; None if it never began."""
        try:
            reply = self.client.describe_execution(executionArn=self._arn(operation))
        except ClientError as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return None
            raise
        return bool(reply["status"] == "RUNNING")

    def _arn(self, operation: Operation) -> str:
        prefix = self.state_machine.replace(":stateMachine:", ":execution:")
        return f"{prefix}:{operation.execution_name}"
