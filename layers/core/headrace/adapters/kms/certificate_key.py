"""The key of our certificate authority, in KMS: its private half never leaves it."""

from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePrivateNumbers,
    EllipticCurvePublicKey,
    EllipticCurveSignatureAlgorithm,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    load_der_public_key,
)

from headrace.adapters.kms.answers import answer_of_key

_KEY = "The key of the certificate authority"


class KmsCertificateKey(EllipticCurvePrivateKey):
    """A private key of ``cryptography``, with which its builder of certificates signs.

    Of what such a key can do, ours can sign (ECDSA over P-256 with SHA-256) and tell its public
    half; KMS does the rest for nobody.
    """

    def __init__(self, client: Any, key_id: str, public: EllipticCurvePublicKey) -> None:
        self._client = client
        self._key_id = key_id
        self._public = public

    @classmethod
    def read(cls, client: Any, key_id: str) -> "KmsCertificateKey":
        """The key with its public half. Raises Unavailable, TypeError: no key of a curve."""
        with answer_of_key(_KEY):
            reply = client.get_public_key(KeyId=key_id)
        public = load_der_public_key(bytes(reply["PublicKey"]))
        if not isinstance(public, EllipticCurvePublicKey):
            raise TypeError("the certificate authority's key must be ECC_NIST_P256")
        return cls(client, str(reply["KeyId"]), public)

    def sign(self, data: Any, signature_algorithm: EllipticCurveSignatureAlgorithm) -> bytes:
        """The signature over what a certificate says, which is well under KMS's 4 KiB.

        Raises Unavailable.
        """
        if not isinstance(signature_algorithm, ECDSA) or not isinstance(
            signature_algorithm.algorithm, SHA256
        ):
            raise TypeError("the certificate authority signs by ECDSA with SHA-256")
        with answer_of_key(_KEY):
            reply = self._client.sign(
                KeyId=self._key_id,
                Message=bytes(data),
                MessageType="RAW",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        return bytes(reply["Signature"])

    def public_key(self) -> EllipticCurvePublicKey:
        """The public half."""
        return self._public

    @property
    def curve(self) -> EllipticCurve:
        """Its curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Its size in bits."""
        return self._public.key_size

    def exchange(self, algorithm: ECDH, peer_public_key: EllipticCurvePublicKey) -> NoReturn:
        """Not with this key."""
        raise TypeError("the certificate authority's key only signs")

    def private_numbers(self) -> EllipticCurvePrivateNumbers:
        """Nobody sees them."""
        raise TypeError("the private half is in KMS")

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,
        encryption_algorithm: KeySerializationEncryption,
    ) -> NoReturn:
        """Nobody sees them."""
        raise TypeError("the private half is in KMS")

    def __copy__(self) -> "KmsCertificateKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "KmsCertificateKey":
        return self
