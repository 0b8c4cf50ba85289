"""Relabelling: what a prometheus.yml makes of discovered labels. https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics_scraper.labels import expand, pattern

ACTIONS = ("replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True)
class Rule:
    """One entry of `relabel_configs`, with the defaults that its fields have."""

    action: str = "replace"
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    replacement: str = "$1"
    modulus: int = 0


def relabel(labels: Mapping[str, str], rules: Sequence[Rule]) -> dict[str, str] | None:
    """The labels after all rules, in their order; None where one of them drops the target or sample."""
    found = {name: value for name, value in labels.items() if value}
    for rule in rules:
        value = rule.separator.join(found.get(name, "") for name in rule.source_labels)
        matched = pattern(rule.regex).fullmatch(value)
        match rule.action:
            case "keep" if not matched:
                return None
            case "drop" if matched:
                return None
            case "keepequal" if found.get(rule.target_label, "") != value:
                return None
            case "dropequal" if found.get(rule.target_label, "") == value:
                return None
            case "replace" if matched:
                target = expand(rule.target_label, matched)
                if _NAME.fullmatch(target):
                    _set(found, target, expand(rule.replacement, matched))
            case "lowercase":
                _set(found, rule.target_label, value.lower())
            case "uppercase":
                _set(found, rule.target_label, value.upper())
            case "hashmod":
                digest = hashlib.md5(value.encode(), usedforsecurity=False).digest()
                _set(found, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
            case "labelmap":
                for name, each in list(found.items()):
                    if mapped := pattern(rule.regex).fullmatch(name):
                        _set(found, expand(rule.replacement, mapped), each)
            case "labeldrop":
                found = {name: each for name, each in found.items() if not pattern(rule.regex).fullmatch(name)}
            case "labelkeep":
                found = {name: each for name, each in found.items() if pattern(rule.regex).fullmatch(name)}
    return found


def _set(labels: dict[str, str], name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
