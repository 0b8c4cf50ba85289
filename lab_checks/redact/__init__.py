"""Masking what must not leave the machine: passwords, tokens, keys, addresses, people's names. Text goes in; masked text and what was masked come out.

Each finder reads the whole text and yields spans; `masking` puts placeholders in their place. What is known of names and tokens is data, in `rules.toml`.

Masked: values under names that mean a secret (in YAML, JSON, `kubectl describe`, environments, command lines, source code, at any depth of
escaping), the data of Secrets whatever their keys, kubeconfig and registry logins, headers that authorise, cookies, credentials in URLs, keys and
certificates in PEM (also cut short), tokens of providers, e-mail addresses, IP addresses, and the login name in a home folder's path.

Left: names of objects, images and hosts, digests, UIDs, hashes, numbers, times, ports, names of and references to Secrets, the certificates of
authorities that a kubeconfig or a webhook holds as base64, and addresses that are the same on every machine: 127.0.0.1, 0.0.0.0, ::1, ::, netmasks
and 169.254.169.254. A random string under a harmless name that nobody documents as a token is left too: it looks like a UID, a digest or a trace.
"""

from lab_checks.redact.masking import Redacted, redact

__all__ = ["Redacted", "redact"]
