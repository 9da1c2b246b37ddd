"""Documents that are cut off or damaged on their way never become visible."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.exports.model import Status
from headrace.kernel.errors import FileUnavailable, SourceUnavailable
from tests.fakes import FakeStream
from tests.world import BUCKET, World

MIB = 1024 * 1024


class CutOff(FakeStream):
    """A stream that breaks after its last line: the source went away."""

    def __iter__(self) -> Iterator[bytes]:
        yield from super().__iter__()
        raise SourceUnavailable("The source went away.")


@pytest.mark.abuse(99)
def test_a_document_cut_off_at_a_part_is_not_listed_and_not_handed_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.warehouse.rows["main.employees"], world.warehouse.row_bytes = 20, MIB
    operation = world.start(entity="employees")
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    with monkeypatch.context() as broken:
        broken.setattr("tests.fakes.FakeStream", CutOff)
        with pytest.raises(SourceUnavailable):
            world.export_range(operation, job_id, job_attempt)

    assert world.complete_is_refused(operation, job_id, job_attempt)
    world.fail_job(operation, job_id)
    world.end(operation)
    assert world.status(operation).status is Status.FAILED
    assert world.stored() == {}
    assert world.open_uploads() == 0


class Damaging:
    """An S3 client on whose way every part changes: S3 finds that the checksum is another's."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def upload_part(self, **request: Any) -> Any:
        """Answers as S3 does: moto does not compare the checksum."""
        raise ClientError({"Error": {"Code": "BadDigest", "Message": ""}}, "UploadPart")


@pytest.mark.abuse(100)
def test_a_part_whose_checksum_does_not_match_fails_the_job_and_leaves_no_file(
    world: World,
) -> None:
    world.upload = S3PartUploads(Damaging(world.clients["s3"]), BUCKET, pauses_s=(0.0, 0.0))
    operation = world.start(entity="employees")
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    with pytest.raises(FileUnavailable):
        world.export_range(operation, job_id, job_attempt)

    assert world.complete_is_refused(operation, job_id, job_attempt)
    world.fail_job(operation, job_id)
    world.end(operation)
    assert [job.status for job in world.status(operation).jobs] == [Status.FAILED]
    assert world.stored() == {}
