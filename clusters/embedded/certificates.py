"""Makes the certificates of a new cluster, and reads requests for one. Imported only where that is done: cryptography is slow to load."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class _Authority:
    """A CA with a key that nobody keeps: what it has signed by the end of the call is all that it ever signs."""

    def __init__(self, name: str, days: int):
        now = datetime.now(UTC)
        # A clock that is set back must not make the cluster's own certificates invalid. kubeadm backdates by minutes; on a laptop that starts
        # two systems, one of which keeps local time, a clock jumps by up to 14 hours.
        self._since, self._until = now - timedelta(days=1), now + timedelta(days=days)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = (
            self._build(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        self.certificate = built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._since)
            .not_valid_after(self._until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def leaf(self, subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """PEM of (key, certificate)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._build(subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        return _key_pem(key), builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue(server_names: Sequence[str], admin: str, groups: Sequence[str], days: int) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """PEM of (server key, server certificate, admin key, admin certificate, CA certificate).

    `admin` and `groups` become the client certificate's common name and organisations, which the API server reads as user and groups.
    """
    authority = _Authority("kubernetes", days)
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    client = x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, admin)])
    server_key, server_pem = authority.leaf(server, ExtendedKeyUsageOID.SERVER_AUTH, server_names)
    admin_key, admin_pem = authority.leaf(client, ExtendedKeyUsageOID.CLIENT_AUTH)
    return server_key, server_pem, admin_key, admin_pem, authority.certificate


def issue_client(authority: str, name: str, days: int) -> tuple[bytes, bytes, bytes]:
    """PEM of (key, certificate, CA certificate) of a client called `name`, by a CA of its own."""
    signer = _Authority(authority, days)
    key, certificate = signer.leaf(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ExtendedKeyUsageOID.CLIENT_AUTH)
    return key, certificate, signer.certificate


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def common_name(request: str) -> str:
    """Whom a certificate request is for: its subject's common name, empty where it has none.

    `request` is a CertificateSigningRequest's `spec.request`, base64 of PEM. Raises ValueError for what is no request.
    """
    try:
        pem = base64.b64decode(request, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    names = x509.load_pem_x509_csr(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
