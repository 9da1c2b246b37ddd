"""Who may do what."""

from local.emulator.sources import Patch

PATCHES = (
    Patch(
        "ministack.core.iam_evaluator",
        "the dummy keys that our tools and tests use are the account's owner",
        old="""\
        or access_key_id == "test"
""",
        new="""\
        or access_key_id in ("test", "testing", "local")
""",
    ),
    Patch(
        "ministack.app",
        "what comes over the loopback interface counts as secure transport",
        old="""\
                           headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https")
""",  # noqa: E501
        new="""\
                           True)
""",
    ),
    Patch(
        "ministack.app",
        "policies may ask what a key of KMS is used for",
        old="""\
                if service == "s3"
                else None
            )
            if service == "logs":
""",
        new="""\
                if service == "s3"
                else {
                    f"kms:EncryptionContext:{name}": value
                    for name, value in (json.loads(body or b"{}").get("EncryptionContext") or {}).items()
                }
                if service == "kms"
                else None
            )
            if service == "logs":
""",  # noqa: E501
    ),
)
