"""What Go's HTTP client, its TLS and its X.509 say of a server that cannot be reached or believed."""

from __future__ import annotations

import json
import os
import socket
import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

# OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH, and those of a certificate's first and last day.
_WRONG_NAME = (62, 64)
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNVERIFIED = "tls: failed to verify certificate: x509: "
# client-go's NewGenericServerResponse (apimachinery/pkg/api/errors).
_CODES = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict",
    410: "the server reported that the requested resource is gone",
    415: "the server was unable to process the request body content type",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


def of_dial(host: str, port: int, error: OSError) -> str:
    """A connection that could not be made."""
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    errors = getattr(error, "exceptions", None)
    first = errors[0] if errors else error
    # asyncio puts its own text around what the system said.
    why = next((words for kind, words in _DIALS.items() if isinstance(first, kind)), None) or _system(first)
    shown = f"[{host}]" if ":" in host else host
    return f"dial tcp {shown if host != 'localhost' else '127.0.0.1'}:{port}: connect: {why}"


_DIALS = {ConnectionRefusedError: "connection refused", TimeoutError: "connection timed out"}


def _system(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def of_handshake(error: OSError) -> str:
    """A connection that could not be secured, or that broke."""
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
            return "http: server gave HTTP response to HTTPS client"
        if "ALERT" in reason:
            return f"remote error: tls: {reason.partition('ALERT_')[2].replace('_', ' ').lower()}"
        if "EOF" in reason:
            return "EOF"
        return f"tls: {reason.replace('_', ' ').lower()}"
    if isinstance(error, ConnectionResetError | BrokenPipeError) and error.errno:
        return "read: connection reset by peer"
    return "EOF"


def of_certificate(code: int, der: bytes, host: str) -> str:
    """A certificate that was not believed; `code` is OpenSSL's, `host` the name that was asked for."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    if code in (_EXPIRED, _NOT_YET_VALID):
        side, limit = ("after", certificate.not_valid_after_utc) if code == _EXPIRED else ("before", certificate.not_valid_before_utc)
        why = f"certificate has expired or is not yet valid: current time {_time(datetime.now(UTC))} is {side} {_time(limit)}"
    elif code in _WRONG_NAME:
        why = _names(certificate, host)
    else:
        why = "certificate signed by unknown authority"
    return _UNVERIFIED + why


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(certificate: x509.Certificate, host: str) -> str:
    """A certificate that is good for others (x509.HostnameError)."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "certificate relies on legacy Common Name field, use SANs instead"
    good = names.get_values_for_type(x509.DNSName)
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        good = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
        if not good:
            return f"cannot validate certificate for {host} because it doesn't contain any IP SANs"
    if not good:
        return f"certificate is not valid for any names, but wanted to match {host}"
    return f"certificate is valid for {', '.join(good)}, not {host}"


def of_code(code: int, body: str) -> str:
    """An answer with a code of failure; `body` is its text, "unknown" where it is none."""
    if code == 403:
        return body
    if code in _CODES:
        return _CODES[code]
    if code >= 500:
        return f"an error on the server ({json.dumps(body)}) has prevented the request from succeeding"
    return f"the server responded with the status code {code} but did not return more information"
