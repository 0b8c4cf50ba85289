"""The API server imports aiohttp without its client, and whoever asks for the client still gets it."""

from __future__ import annotations

import subprocess
import sys

_ENTERED = "import sys; from clusters.embedded.apiserver import server; import aiohttp; "


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def test_the_api_server_is_imported_without_the_client() -> None:
    assert _python(_ENTERED + "print('aiohttp.web' in sys.modules, 'aiohttp.client' in sys.modules)") == "True False"


def test_the_version_is_that_of_the_package() -> None:
    assert _python(_ENTERED + "import importlib.metadata as m; print(aiohttp.__version__ == m.version('aiohttp'))") == "True"


def test_the_client_is_there_for_those_who_ask() -> None:
    asks = "from aiohttp import ClientSession, web; from aiohttp.client import ClientSession as same; print(ClientSession is same, web is server.web)"
    assert _python(_ENTERED + asks) == "True True"


def test_a_name_that_there_is_none_of_is_refused_before_and_after() -> None:
    tries = "print(hasattr(aiohttp, 'nothing_like_it'), hasattr(aiohttp, 'nothing_like_it'), 'aiohttp.client' in sys.modules)"
    assert _python(_ENTERED + tries) == "False False True"


def test_an_aiohttp_that_was_imported_before_stays() -> None:
    assert _python("import aiohttp as first; " + _ENTERED + "print(first is aiohttp, bool(aiohttp.ClientSession))") == "True True"
