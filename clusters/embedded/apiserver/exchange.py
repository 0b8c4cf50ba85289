"""One HTTP request and its answer, on the way through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from clusters.embedded.apiserver import authentication
from clusters.embedded.apiserver.audit import AuditLog, Record
from clusters.embedded.apiserver.request import RequestInfo, User


class Exchange:
    """What the handlers are given: the request, who sends it, its audit record, and the answer once that has begun."""

    def __init__(self, http: web.BaseRequest, info: RequestInfo, record: Record, audit: AuditLog):
        self._audit = audit
        self.http = http
        self.info = info
        self.record = record
        self.user: User = authentication.ANONYMOUS
        self.warnings: list[str] = []
        self.response: web.StreamResponse | None = None

    @property
    def query(self) -> Mapping[str, str]:
        return self.http.query

    def started(self) -> None:
        """Tells the audit log that a reply which lasts has begun."""
        self._audit.write(self.record, "ResponseStarted", 200)

    def headers(self) -> dict[str, str]:
        return {"Audit-Id": self.record.audit_id, "Cache-Control": "no-cache, private"}
