"""Keys, certificates, tokens and the kubeconfig."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from clusters.embedded import kubeconfig, pki
from kubeobjects import Object

ACCOUNT: Object = {"metadata": {"name": "learner", "namespace": "team", "uid": "u1"}}


def test_certificates_are_made_once_and_kept(tmp_path: Path) -> None:
    first = pki.ensure(tmp_path)
    content = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert pki.ensure(tmp_path) == first
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == content
    assert stat.S_IMODE(first.server_key.stat().st_mode) == 0o600


def test_the_server_is_known_by_all_its_names(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(pki.ensure(tmp_path).server.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "10.96.0.1"}


def test_a_clock_that_was_set_back_by_hours_leaves_certificates_valid(tmp_path: Path) -> None:
    paths = pki.ensure(tmp_path)
    earlier = datetime.now(UTC) - timedelta(hours=14)
    for path in (paths.ca, paths.server, paths.admin):
        assert x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc < earlier


def test_the_administrator_is_a_cluster_admin(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(pki.ensure(tmp_path).admin.read_bytes())
    assert "CN=kubernetes-admin" in certificate.subject.rfc4514_string()
    assert "O=system:masters" in certificate.subject.rfc4514_string()


def test_an_unfinished_start_is_made_good(tmp_path: Path) -> None:
    paths = pki.ensure(tmp_path)
    paths.admin.write_bytes(b"")
    again = pki.ensure(tmp_path)
    context = ssl.create_default_context(cafile=str(again.ca))
    context.load_cert_chain(again.admin, again.admin_key)


def test_a_warm_start_does_not_load_cryptography(tmp_path: Path) -> None:
    pki.ensure(tmp_path)
    program = (
        "import sys; from pathlib import Path; from clusters.embedded import pki; "
        f"pki.ensure(Path({str(tmp_path)!r})); sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_token_tells_whose_it_is() -> None:
    issuer = pki.TokenIssuer(b"k" * 32)
    token, expires = issuer.issue(ACCOUNT, {"expirationSeconds": 600}, None)
    claims = issuer.verify(token)
    assert claims is not None
    assert claims["sub"] == "system:serviceaccount:team:learner"
    assert claims["kubernetes.io"]["serviceaccount"] == {"name": "learner", "uid": "u1"}
    assert claims["exp"] - claims["iat"] == 600
    assert expires.endswith("Z")


def test_a_token_that_was_changed_is_refused() -> None:
    issuer = pki.TokenIssuer(b"k" * 32)
    token, _ = issuer.issue(ACCOUNT, {}, None)
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "system:serviceaccount:team:admin"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert issuer.verify(f"{head}.{forged}.{signature}") is None
    assert pki.TokenIssuer(b"x" * 32).verify(token) is None


def test_a_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = pki.TokenIssuer(b"k" * 32)
    token, _ = issuer.issue(ACCOUNT, {"expirationSeconds": 600}, None)
    later = pki.time.time() + 601
    monkeypatch.setattr(pki.time, "time", lambda: later)
    assert issuer.verify(token) is None


def test_the_kubeconfig_is_whole_and_its_owners_only(tmp_path: Path) -> None:
    paths = pki.ensure(tmp_path / "pki")
    target = tmp_path / "deep" / "kubeconfig"
    kubeconfig.write(target, "https://127.0.0.1:1234", paths)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    config = json.loads(target.read_text())
    assert config["current-context"] == "ai-lab"
    assert config["contexts"][0]["context"] == {"cluster": "ai-lab", "user": "ai-lab", "namespace": "default"}
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == paths.ca.read_bytes()
    assert [each.name for each in target.parent.iterdir()] == ["kubeconfig"]
