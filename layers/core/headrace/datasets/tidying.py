"""What the workers of a process left in storage, and nobody will ask for."""

from dataclasses import dataclass

from headrace.datasets.model import DataSet, Process, ProcessKind
from headrace.datasets.ports import DataSets, Items, Leftovers, ProcessStarts


def payloads_of(data_set_id: str) -> str:
    """What the keys of a data set's payloads begin with."""
    return f"payloads/{data_set_id}/"


def payload_key(data_set_id: str, process_id: str, run: str, suffix: str) -> str:
    """Where a run of a build puts the payload: nowhere that another run does, so that what a late
    one writes is in nobody's way."""
    return f"{payloads_of(data_set_id)}{process_id}-{run}.{suffix}"


def _built_by(key: str) -> str:
    """The id of the process that has put a payload there."""
    return key.rpartition("/")[2].partition("-")[0]


@dataclass(frozen=True)
class TidyProcess:
    """Aborts the uploads that a process's workers did not complete, and removes the payloads that
    they completed and nobody took. Again is harmless."""

    starts: ProcessStarts
    data_sets: DataSets
    items: Items
    leftovers: Leftovers

    def __call__(self, process: Process) -> bool:
        """``process``: one that has ended. False if it has to be done again, as another one runs
        that may need what this one left. Raises FileUnavailable, Unavailable.

        What is there is listed before it is looked who needs it: who begins later begins with
        nothing, so what it makes is not in the list.
        """
        tenant, process_id = process.tenant, process.process_id
        for prefix in (f"{process_id}/", f"imports/{process_id}."):
            self.leftovers.abort(tenant, self.leftovers.uploads(tenant, prefix))
        found = None
        if process.kind is ProcessKind.BUILD:
            found = self.data_sets.find(tenant, process.definition, process.data_set)
        return found is None or self._tidy_build(process, found)

    def _tidy_build(self, process: Process, data_set: DataSet) -> bool:
        tenant, payloads = process.tenant, payloads_of(data_set.data_set_id)
        uploads = self.leftovers.uploads(tenant, f"{payloads}{process.process_id}-")
        self.leftovers.abort(tenant, uploads)
        keys = [*self.leftovers.keys(tenant, payloads)]
        now = self.data_sets.find(tenant, data_set.definition, data_set.code)
        for key in keys:
            if (now is None or key != now.payload_key) and _built_by(key) <= process.process_id:
                self.leftovers.remove(tenant, key)
        uploads = self.items.uploads(data_set)
        if uploads and self.starts.running(tenant) is not None:
            return False
        self.leftovers.abort(tenant, uploads)
        return True
