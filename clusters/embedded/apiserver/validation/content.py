"""What texts may look like: names, labels, keys, ports (k8s.io/apimachinery/pkg/util/validation).

Every function takes a value and returns what is wrong with it, in words that follow `Invalid value: "…": `.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SEARCH_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH_DOMAIN = rf"{_SEARCH_LABEL}(\.{_SEARCH_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_NAME_PART})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253

NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
NOT_INTEGER = "must be an integer"
IMMUTABLE = "field is immutable"


def _full(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None


def _longer_than(length: int) -> str:
    return f"must be no more than {length} characters"


def _more_bytes_than(length: int) -> str:
    """The words of the rules that have moved to k8s.io/apimachinery/pkg/api/validate/content: labels and their keys."""
    return f"must be no more than {length} bytes"


def _too_long(value: str, length: int) -> list[str]:
    return [_longer_than(length)] if len(value.encode()) > length else []


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def _regex(words: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{words} (regex used for validation is '{pattern}')"
    # The original writes a comma and a space after each example, and then " or ".
    given = " or ".join(f"'{example}', " for example in examples)
    return f"{words} (e.g. {given}regex used for validation is '{pattern}')"


def dns_label(value: str) -> list[str]:
    found = _too_long(value, LABEL_LENGTH)
    if not _full(_LABEL, value):
        if _full(_SUBDOMAIN, value):
            found.append("must not contain dots")
        else:
            words = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
                "with an alphanumeric character"
            )
            found.append(_regex(words, _LABEL, "my-name", "123-abc"))
    return found


def dns_subdomain(value: str) -> list[str]:
    found = _too_long(value, SUBDOMAIN_LENGTH)
    if not _full(_SUBDOMAIN, value):
        words = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
            "and end with an alphanumeric character"
        )
        found.append(_regex(words, _SUBDOMAIN, "example.com"))
    return found


def search_domain(value: str) -> list[str]:
    """A DNS subdomain that may have underscores (IsDNS1123SubdomainWithUnderscore)."""
    found = _too_long(value, SUBDOMAIN_LENGTH)
    if not _full(_SEARCH_DOMAIN, value):
        words = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start "
            "and end with an alphanumeric character"
        )
        found.append(_regex(words, _SEARCH_DOMAIN, "example.com"))
    return found


def wildcard_subdomain(value: str) -> list[str]:
    found = _too_long(value, SUBDOMAIN_LENGTH)
    if not _full(_WILDCARD, value):
        words = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
            "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
        )
        found.append(_regex(words, _WILDCARD, "*.example.com"))
    return found


def dns_1035_label(value: str) -> list[str]:
    found = _too_long(value, LABEL_LENGTH)
    if not _full(_LABEL_1035, value):
        words = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character"
        )
        found.append(_regex(words, _LABEL_1035, "my-name", "abc-123"))
    return found


def path_segment(value: str) -> list[str]:
    """Names that only have to fit into a URL: RBAC roles, for example."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def qualified_name(value: str) -> list[str]:
    """A label key: an optional DNS prefix and a slash before the name."""
    parts = value.split("/")
    words = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    hint = _regex(f"name part {words}", _NAME_PART, "MyName", "my.name", "123-abc")
    found: list[str] = []
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            found.append("prefix part must be non-empty")
        else:
            longest = _longer_than(SUBDOMAIN_LENGTH)
            found.extend(f"prefix part {_more_bytes_than(SUBDOMAIN_LENGTH) if each == longest else each}" for each in dns_subdomain(prefix))
    elif len(parts) > 2:
        words = (
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character"
        )
        return [
            _regex(words, _NAME_PART, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name.encode()) > LABEL_LENGTH:
        found.append(f"name part {_more_bytes_than(LABEL_LENGTH)}")
    if not _full(_NAME_PART, name):
        found.append(hint)
    return found


def label_value(value: str) -> list[str]:
    found = [_more_bytes_than(LABEL_LENGTH)] if len(value.encode()) > LABEL_LENGTH else []
    if not _full(_LABEL_VALUE, value):
        words = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
            "and end with an alphanumeric character"
        )
        found.append(_regex(words, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return found


def _leaves_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def config_key(value: str) -> list[str]:
    found = _too_long(value, SUBDOMAIN_LENGTH)
    if not _full(_CONFIG_KEY, value):
        words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(_regex(words, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return found + _leaves_directory(value)


def env_name(value: str) -> list[str]:
    """The relaxed rule that is the default since 1.34: printable ASCII without `=`."""
    found = [] if value else ["environment variable name must be non-empty"]
    if any(not 32 <= ord(character) < 127 or character == "=" for character in value):
        found.append("a valid environment variable name must consist only of printable ASCII characters other than '='")
    return found


def c_identifier(value: str) -> list[str]:
    if _full(_C_IDENTIFIER, value):
        return []
    words = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'"
    return [_regex(words, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def header_name(value: str) -> list[str]:
    words = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [] if _full(_HEADER, value) else [_regex(words, _HEADER, "X-Header-Name")]


def percent(value: str) -> list[str]:
    words = "a valid percent string must be a numeric string followed by an ending '%'"
    return [] if _full(_PERCENT, value) else [_regex(words, _PERCENT, "1%", "93%")]


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [between(1, 65535)]


def port_name(value: str) -> list[str]:
    found = _too_long(value, 15)
    if not _full("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        found.append("must not begin or end with a hyphen")
    return found
