"""The webhook's certificate: made once, kept in a Secret, and told to the API server in the webhook's configuration."""

from __future__ import annotations

import base64
import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from job_queue_operator.cluster import Cluster, ClusterError, Object

_YEARS = 10
_USAGE = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A certificate that signs itself, and its key, both PEM: the certificate is its own authority."""

    certificate: bytes
    key: bytes

    def written(self) -> tuple[Path, Path]:
        """(certificate, key) as files of this process."""
        folder = Path(tempfile.mkdtemp(prefix="webhook-"))
        (folder / "tls.crt").write_bytes(self.certificate)
        (folder / "tls.key").write_bytes(self.key)
        return folder / "tls.crt", folder / "tls.key"


def make(service: str, namespace: str) -> Pair:
    """A pair for the names by which the API server calls a Service."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{service}.{namespace}.svc"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(f"{service}.{namespace}.svc{end}") for end in ("", ".cluster.local")]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of nodes differ.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # What strict verifiers ask of an authority (Python's, from 3.13 on).
        .add_extension(_USAGE, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(built.public_bytes(serialization.Encoding.PEM), private)


async def kept(cluster: Cluster, service: str, namespace: str) -> Pair:
    """The pair that the Secret holds; made and stored where there is none yet. Raises ClusterError."""
    secrets, name = f"/api/v1/namespaces/{namespace}/secrets", f"{service}-certificate"
    try:
        return _pair(await cluster.get(f"{secrets}/{name}"))
    except ClusterError as problem:
        if problem.code != 404:
            raise
    pair = make(service, namespace)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "labels": {"ai-lab.dev/course": "true"}},
        "data": {"tls.crt": base64.b64encode(pair.certificate).decode(), "tls.key": base64.b64encode(pair.key).decode()},
    }
    try:
        await cluster.create(secrets, body)
    except ClusterError as problem:
        if problem.code != 409:
            raise
        # Another Pod of the operator was quicker.
        return _pair(await cluster.get(f"{secrets}/{name}"))
    return pair


def _pair(secret: Object) -> Pair:
    return Pair(base64.b64decode(secret["data"]["tls.crt"]), base64.b64decode(secret["data"]["tls.key"]))


async def told(cluster: Cluster, pair: Pair, configuration: str) -> None:
    """Writes the authority into each webhook of the configuration that has another one. Raises ClusterError."""
    path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{configuration}"
    found = await cluster.get(path)
    authority = base64.b64encode(pair.certificate).decode()
    if all(each["clientConfig"].get("caBundle") == authority for each in found["webhooks"]):
        return
    webhooks = [{**each, "clientConfig": {**each["clientConfig"], "caBundle": authority}} for each in found["webhooks"]]
    await cluster.patch(path, {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "webhooks": webhooks})
