"""The words for text that is no JSON, as Go's encoding/json has them."""

import pytest

from clusters.embedded.apiserver import json_words

CASES = {
    b"": "unexpected end of JSON input",
    b"  ": "unexpected end of JSON input",
    b'{"a": [1, {"b": null}], "c": "\\u00e9\\n", "d": -1.5e+3}': "",
    b"[]": "",
    b"{}": "",
    b"x": "invalid character 'x' looking for beginning of value",
    b"'a'": r"invalid character '\'' looking for beginning of value",
    b"\xc7": "invalid character 'Ç' looking for beginning of value",
    b"\x01": r"invalid character '\x01' looking for beginning of value",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"[1 2]": "invalid character '2' after array element",
    b"{]": "invalid character ']' looking for beginning of object key string",
    b'{"a":1,}': "invalid character '}' looking for beginning of object key string",
    b'{"a" 1}': "invalid character '1' after object key",
    b'{"a":1 "b"}': "invalid character '\"' after object key:value pair",
    b'{"a":1': "unexpected end of JSON input",
    b"{} {}": "invalid character '{' after top-level value",
    b"0123": "invalid character '1' after top-level value",
    b'"a\nb"': r"invalid character '\n' in string literal",
    b'"\\x"': "invalid character 'x' in string escape code",
    b'"\\u00g0"': r"invalid character 'g' in \u hexadecimal character escape",
    b"-a": "invalid character 'a' in numeric literal",
    b"1.x": "invalid character 'x' after decimal point in numeric literal",
    b"1ex": "invalid character 'x' in exponent of numeric literal",
    b"trie": "invalid character 'i' in literal true (expecting 'u')",
    b"nul": "unexpected end of JSON input",
}


@pytest.mark.parametrize("text", CASES, ids=repr)
def test_complaint(text: bytes) -> None:
    assert json_words.complaint(text) == CASES[text]
