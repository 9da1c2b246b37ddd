"""The commands of ``headrace-admin ca``: the certificate authority of client certificates."""

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.identity.certificates import about_certificate
from headrace.identity.certifying import CreateAuthority
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

ca = App(name="ca")


@ca.command(name="create")
def create_authority(
    *,
    truststore: Annotated[
        str | None,
        Parameter(
            help="Write the certificate to this object too, s3://BUCKET/KEY: the truststore of "
            "the custom domain.",
            show_default=False,
        ),
    ] = None,
    target: Target = AWS,
) -> int:
    """Make the certificate authority, once: a certificate that its key in KMS signs, of ten years.

    Its certificate is printed in PEM. It is no secret: the truststore of the domain holds it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        place = None if truststore is None else _place(truststore)
        deployment = target.deployment()
        create = CreateAuthority(
            deployment.certificates(), deployment.certificate_key, SystemClock()
        )
        pem = create(f"Headrace {target.stack} client certificates")
        if place is not None:
            deployment.put_object(*place, pem.encode())
        _print_authority(printer, pem)
        return Exit.OK

    return finished(printer, work)


@ca.command(name="show")
def show_authority(*, target: Target = AWS) -> int:
    """Show the certificate authority's certificate, in PEM."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        pem = target.deployment().certificates().authority()
        if pem is None:
            raise NotFound("There is no certificate authority yet; see ca create.")
        _print_authority(printer, pem)
        return Exit.OK

    return finished(printer, work)


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise InvalidRequest(f"--truststore takes s3://BUCKET/KEY, and not {uri}.")
    return bucket, key


def _print_authority(printer: Printer, pem: str) -> None:
    about = about_certificate(pem)

    def human(out: Console) -> None:
        out.out(pem, end="", highlight=False)
        printer.err.print(f"{about['subject']}, valid until {about['notAfter']}", markup=False)

    printer.result({**about, "certificate": pem}, human)
