"""The background processing of an application, by the functions that its catalog entry names."""

from contextlib import closing
from dataclasses import dataclass

from headrace.adapters.postgresql.application import source_of
from headrace.adapters.postgresql.session import connect, errors_translated
from headrace.adapters.sql_text import identifier, split_name
from headrace.datasets.definitions import Application
from headrace.datasets.task_processing import TaskState
from headrace.kernel.errors import SourceUnavailable


@dataclass(frozen=True)
class PostgresqlTaskProcessing:
    """The ``TaskProcessing`` port; a new session for every call."""

    def state(self, application: Application) -> TaskState:
        """See the port."""
        told = self._call(application, "status")
        try:
            return TaskState(str(told))
        except ValueError:
            raise SourceUnavailable(
                "The application's function that tells the status of its background processing "
                "gives none of the words STARTED, STOPPING and STOPPED."
            ) from None

    def stop(self, application: Application) -> None:
        """See the port."""
        self._call(application, "stop")

    def start(self, application: Application) -> None:
        """See the port."""
        self._call(application, "start")

    def _call(self, application: Application, which: str) -> object:
        schema, name = split_name(application.task_processing[which])
        function = f"{identifier(schema)}.{identifier(name)}"
        with closing(connect(source_of(application))) as connection, errors_translated():
            row = connection.execute(f"SELECT {function}()").fetchone()
            return row[0] if row else None
