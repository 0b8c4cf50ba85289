"""Warnings of files of a volume that hide each other (pkg/api/pod/warnings.go, warningsForOverlappingVirtualPaths)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation.field import quote
from kubeobjects import Object

# A file's path in its volume, and what it comes from where the volume has several sources.
_File = tuple[str, str]


def overlapping(volumes: list[Object]) -> list[str]:
    found: list[str] = []
    for volume in volumes:
        for kind, name, described in (("configMap", "name", "ConfigMap "), ("secret", "secretName", "Secret "), ("downwardAPI", "", "")):
            source = volume.get(kind) or {}
            shown = f"{described}{quote(source.get(name, ''))}" if name else "DownwardAPI"
            files = [(item.get("path", ""), "") for item in source.get("items") or []]
            found += [_warning(volume, shown, each) for each in _collisions(files, [])]
        found += _projected(volume)
    return found


def _warning(volume: Object, shown: str, body: str) -> str:
    return f"volume {quote(volume.get('name', ''))} ({shown}): overlapping paths: {body}"


def _projected(volume: Object) -> list[str]:
    found: list[str] = []
    seen: list[_File] = []
    for source in (volume.get("projected") or {}).get("sources") or []:
        if not any(value is not None for value in source.values()):
            found.append(f"volume {quote(volume.get('name', ''))} (Projected) has no sources provided")
            continue
        found += [_warning(volume, "Projected", each) for each in _collisions(_files(source), seen)]
    return found


def _files(source: Object) -> list[_File]:
    for kind, described in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (source.get(kind) or {}).get("items") is not None:
            shown = f"{described} {quote(source[kind].get('name', ''))}"
            return [(item.get("path", ""), shown) for item in source[kind]["items"]]
    if (source.get("downwardAPI") or {}).get("items") is not None:
        return [(item.get("path", ""), "DownwardAPI") for item in source["downwardAPI"]["items"]]
    if source.get("serviceAccountToken") is not None:
        return [(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    return []


def _collisions(files: list[_File], seen: list[_File]) -> list[str]:
    """`"a" with "a/b"` for each pair; adds the files to `seen`."""
    found = []
    for path, source in files:
        path = path.rstrip("/")
        for other, from_where in seen:
            nested = f"{other}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other}/")
            if path and other and nested:
                found.append(f"{_shown(path, source)} with {_shown(other, from_where)}")
        seen.append((path, source))
    return found


def _shown(path: str, source: str) -> str:
    return f"{quote(path)} ({source})" if source else quote(path)
