"""Secrets of type kubernetes.io/service-account-token are filled, and go with their account (pkg/controller/serviceaccount/tokens_controller.go)."""

from __future__ import annotations

from base64 import b64encode

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta

TYPE = "kubernetes.io/service-account-token"
ACCOUNT = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"


class TokenSecretController(Controller):
    """Keys are Secrets. A Secret that names no account that exists is deleted, as on every cluster."""

    name = "serviceaccount-token-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._root_ca, self._token = context.root_ca, context.token
        self._secrets = self.informers("secrets")
        self._accounts = self.informers("serviceaccounts")
        self._secrets.on_change(self._secret_changed)
        self._accounts.on_change(self._account_changed)

    def _secret_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and new.get("type") == TYPE:
            self.enqueue(new)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None or old is None:
            return
        name, namespace = old["metadata"]["name"], old["metadata"]["namespace"]
        for secret in self._secrets.list(namespace):
            if secret.get("type") == TYPE and (secret["metadata"].get("annotations") or {}).get(ACCOUNT) == name:
                self.enqueue(secret)

    async def reconcile(self, key: str) -> None:
        secret = self._secrets.by_key(key)
        if secret is None or meta.is_deleting(secret):
            return
        metadata = secret["metadata"]
        annotations = metadata.get("annotations") or {}
        account = await self._account(annotations, metadata["namespace"])
        try:
            if account is None:
                await self.client.delete("secrets", metadata["name"], metadata["namespace"], uid=metadata["uid"])
                return
            data = secret.get("data") or {}
            wanted = {"ca.crt": _encoded(self._root_ca), "namespace": data.get("namespace") or _encoded(metadata["namespace"])}
            wanted["token"] = data.get("token") or _encoded(self._token(account, secret))
            told = {**annotations, ACCOUNT: account["metadata"]["name"], ACCOUNT_UID: account["metadata"]["uid"]}
            if {**data, **wanted} != data:
                await self.client.update("secrets", {**secret, "metadata": {**metadata, "annotations": told}, "data": {**data, **wanted}})
        except ApiError as error:
            # Somebody was quicker: the change that comes is looked at anew.
            if error.code not in (404, 409):
                raise

    async def _account(self, annotations: Object, namespace: str) -> Object | None:
        """The account that the Secret names, asked of the API server where the cache does not have it yet."""
        name, uid = annotations.get(ACCOUNT) or "", annotations.get(ACCOUNT_UID)
        if not name:
            return None
        account = self._accounts.get(name, namespace)
        if account is None:
            try:
                account = await self.client.get("serviceaccounts", name, namespace)
            except ApiError as error:
                if error.code != 404:
                    raise
                return None
        return account if uid in (None, "", account["metadata"]["uid"]) else None


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
