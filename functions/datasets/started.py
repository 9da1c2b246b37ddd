"""How calls that start a process of data sets are asked and answered."""

from headrace.datasets.model import Process
from headrace.datasets.views import DataSetProcessView
from headrace.runtime.api import Call, Reply

REPLIES = {201: DataSetProcessView}
REPLY_HEADERS = {201: {"Location": "The process, whose state is to be asked for"}}
REQUEST_HEADERS = {
    "Idempotency-Key": "A key of your own: the same key and body start one process only"
}


def started(call: Call, process: Process) -> Reply:
    """The process, and where it can be watched."""
    return Reply(
        201,
        DataSetProcessView.of(process, call.base_url),
        {"Location": f"{call.base_url}{process.path}"},
        concerns={"dataSetProcessId": process.process_id},
    )
