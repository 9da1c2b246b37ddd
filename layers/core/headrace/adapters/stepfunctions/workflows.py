"""The workflows as executions in Step Functions: of exports, and of webhooks' deliveries."""

from dataclasses import dataclass

from headrace.adapters.stepfunctions.executions import Executions
from headrace.exports.model import Operation
from headrace.exports.webhooks import Delivery


@dataclass(frozen=True)
class StepFunctionsWorkflows:
    """The ``Workflows`` port: one execution per operation and attempt."""

    executions: Executions

    def start(self, operation: Operation) -> None:
        """Starts the execution of the operation's attempt; again is harmless."""
        self.executions.start(
            operation.execution_name,
            {
                "tenant": operation.tenant,
                "client_id": operation.client_id,
                "operation_id": operation.operation_id,
                "attempt": operation.attempt,
            },
        )

    def stop(self, operation: Operation) -> None:
        """Ends the execution, if it runs."""
        self.executions.stop(operation.execution_name, "cancelled by the client")

    def is_running(self, operation: Operation) -> bool | None:
        """Does the execution of the operation's attempt run; None if it never began."""
        return self.executions.is_running(operation.execution_name)


@dataclass(frozen=True)
class StepFunctionsDeliveries:
    """The ``DeliveryRuns`` port: one execution per delivery and run."""

    executions: Executions

    def start(self, delivery: Delivery) -> None:
        """Starts the execution of the delivery's run; again is harmless."""
        what = delivery.completion
        self.executions.start(
            delivery.execution_name,
            {
                "tenant": delivery.tenant,
                "client_id": delivery.client_id,
                "operation_id": what.operation_id,
                "attempt": what.attempt,
                "run": delivery.run,
            },
        )

    def is_running(self, delivery: Delivery) -> bool | None:
        """Does the execution of the delivery's run go on; None if it never began."""
        return self.executions.is_running(delivery.execution_name)
