"""The class's server: learners' machines report to it, and the instructor's page asks it. It asks nobody and sends nothing by itself.

`Classroom` holds the class in memory and writes every change to the roll before it is answered. What comes in together is written together, so that
a hundred reports cost a few transactions. `application` gives it an address:

    GET  {base}                 the page; it holds no name
    POST {base}api/session      the instructor's token for a cookie; DELETE gives the cookie back
    GET  {base}api/view         what the page shows (cookie or token); with ?since=VERSION it waits until there is something new
    GET  {base}export.csv, {base}export.json   the same as files (cookie or token)
    POST {base}api/join         the learners' secret and a name for a key of one's own
    POST {base}api/report       a report, with that key
    POST {base}api/leave        no more reports, with that key; {"delete": true}: and what was reported is deleted
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from kubeobjects import Object
from lab_checks.classroom import page, report, sheets, view, wire
from lab_checks.classroom.roll import Change, Learner, Roll, hashed, new_secret, removed, same, saved
from lab_checks.engine.store import StoreError

log = logging.getLogger(__name__)

MOST_LEARNERS = 500
_POLL = 20.0  # seconds until a page that waits is answered with what there is; marks change with time alone
_TOGETHER = 0.1  # seconds: what comes in together is shown together
_SESSION = 30 * 24 * 3600  # seconds that a browser stays signed in

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    wire.HEADER: str(report.FORMAT),
}


class Problem(Exception):
    """A request that is refused: the HTTP status, what is the matter, and what to do next."""

    def __init__(self, status: int, what: str, next: str = ""):
        super().__init__(what)
        self.status = status
        self.what = what
        self.next = next


class Classroom:
    """The class of a roll, in memory. `clock` gives seconds since the epoch. Raises StoreError where the roll cannot be read."""

    def __init__(self, roll: Roll, stuck_after: float = view.STUCK_AFTER, renew: bool = False, clock: Callable[[], float] = time.time):
        self.clock = clock
        self.stuck_after = stuck_after
        self._roll = roll
        self.view_token, self.join_secret = roll.secrets(renew)
        self.learners: dict[str, Learner] = {each.key: each for each in roll.learners()}
        # Another one than any that a page may still have from before a restart.
        self.version = int(clock() * 1000)
        self._news = asyncio.Event()
        self._pending: list[tuple[Change, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "ai-lab-class")
        self._shown: tuple[int, float, bytes] = (0, 0.0, b"")
        self.closing = False

    # Learners

    async def join(self, secret: str, name: str, key: str) -> str:
        """The key of a machine that joins, the one that it had here where it had one. Raises Problem, ValueError."""
        if not same(secret, self.join_secret):
            raise Problem(403, "the class does not know this link", "ask your instructor for the present link: it may have been renewed")
        name, now = report.given_name(name), self.clock()
        before = self.learners.get(hashed(key)) if key else None
        if before is not None:
            before.name, before.gone, before.seen = name, 0.0, now
            await self._kept(saved(before))
            return key
        if len(self.learners) >= MOST_LEARNERS:
            raise Problem(503, f"the class is full: it has {MOST_LEARNERS} learners", "tell your instructor")
        key = new_secret()
        number = max((each.id for each in self.learners.values()), default=0) + 1
        made = Learner(number, hashed(key), name, joined=now, seen=now, sitting=now)
        self.learners[made.key] = made
        try:
            await self._kept(saved(made))
        except StoreError:
            # Nobody was told its key.
            del self.learners[made.key]
            raise
        return key

    def known(self, key: str) -> Learner:
        found = self.learners.get(hashed(key))
        if found is None:
            raise Problem(401, "the class does not know this machine", "ask your instructor for the link, then ai-lab class join LINK")
        return found

    async def heard(self, key: str, body: object) -> None:
        """A report. Raises Problem, ValueError."""
        learner = self.known(key)
        if learner.gone:
            raise Problem(403, "this machine has left the class", "ai-lab class join LINK joins it again")
        learner.heard(report.checked(body), self.clock())
        await self._kept(saved(learner))

    async def left(self, key: str, delete: bool) -> None:
        """Raises Problem."""
        learner = self.known(key)
        if delete:
            del self.learners[learner.key]
            await self._kept(removed(learner))
        else:
            learner.gone = learner.gone or self.clock()
            await self._kept(saved(learner))

    # What is kept

    async def _kept(self, change: Change) -> None:
        """Returns once the change is on the disk. Raises StoreError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((change, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        self.version += 1
        self._news.set()
        await done

    async def _write(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            problem: Exception | None = None
            try:
                await asyncio.get_running_loop().run_in_executor(self._writer, self._roll.write, [change for change, _ in batch])
            except Exception as found:
                problem = found
            for _, done in batch:
                if done.done():
                    continue
                if problem is None:
                    done.set_result(None)
                else:
                    done.set_exception(problem)

    # What is shown

    def sees(self, token: str) -> bool:
        """Whether that is the instructor's token."""
        return same(token, self.view_token)

    @property
    def session(self) -> str:
        """What the cookie of a browser holds that showed the token: it follows from the token, which cannot be found from it."""
        return hmac.new(self.view_token.encode(), b"session", "sha256").hexdigest()

    async def shown(self, since: int | None) -> bytes:
        """The view as JSON. With `since`, the version that a page has, it waits for a newer one, or for a while."""
        if since == self.version and not self.closing:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _POLL)
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(_TOGETHER)
        version, at, body = self._shown
        now = self.clock()
        if version != self.version or abs(now - at) > 1:
            body = json.dumps({"version": self.version} | self.seen(now), separators=(",", ":")).encode()
            self._shown = (self.version, now, body)
        return body

    def seen(self, now: float) -> Object:
        return view.of(self.everyone, now, self.stuck_after)

    @property
    def everyone(self) -> list[Learner]:
        return sorted(self.learners.values(), key=lambda each: each.id)

    async def close(self) -> None:
        """Answers the pages that wait, and ends when all is on the disk."""
        self.closing = True
        self._news.set()
        if self._writing is not None:
            await self._writing
        self._writer.shutdown()


_ROOM: web.AppKey[Classroom] = web.AppKey("classroom", Classroom)
_COOKIE: web.AppKey[str] = web.AppKey("cookie", str)
_BASE: web.AppKey[str] = web.AppKey("base", str)
_SECURE: web.AppKey[bool] = web.AppKey("secure", bool)


def _bearer(request: web.Request) -> str:
    kind, _, found = request.headers.get("Authorization", "").partition(" ")
    return found.strip() if kind.lower() == "bearer" else ""


def _instructor(request: web.Request) -> Classroom:
    """The class, for a request with the instructor's token or cookie. Raises Problem."""
    room, given = request.app[_ROOM], _bearer(request)
    if (given and room.sees(given)) or same(request.cookies.get(request.app[_COOKIE], ""), room.session):
        return room
    raise Problem(401, "this page needs the instructor's link", "ai-lab class serve prints it")


async def _body(request: web.Request) -> Object:
    """The JSON object of a request. Raises Problem."""
    try:
        found = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise Problem(
            413, f"a request holds at most {wire.MOST_BYTES // 1024} KiB", "this is a fault of the course: please report it"
        ) from None
    except (ValueError, RecursionError):
        raise Problem(400, "the request is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(400, "the request is not a JSON object")
    if "format" in found and found["format"] != report.FORMAT:
        raise Problem(
            409,
            f"the class reads version {report.FORMAT} of reports, and this is {found['format']!s:.10}",
            "install the same version of ai-lab",
        )
    return found


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=page.whole(), content_type="text/html", charset="utf-8")


async def _slash(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(request.app[_BASE])


async def _sign_in(request: web.Request) -> web.Response:
    body, room = await _body(request), request.app[_ROOM]
    if not room.sees(str(body.get("token", ""))):
        raise Problem(403, "this link is not valid any more", "ai-lab class serve prints the present one")
    answer = web.json_response({"title": "signed in"})
    answer.set_cookie(
        request.app[_COOKIE], room.session, max_age=_SESSION, path=request.app[_BASE], httponly=True, samesite="Strict",
        secure=request.app[_SECURE],
    )  # fmt: skip
    return answer


async def _sign_out(request: web.Request) -> web.Response:
    answer = web.json_response({"title": "signed out"})
    answer.del_cookie(request.app[_COOKIE], path=request.app[_BASE], httponly=True, samesite="Strict", secure=request.app[_SECURE])
    return answer


async def _view(request: web.Request) -> web.Response:
    room, since = _instructor(request), request.query.get("since", "")
    found = await room.shown(int(since) if since.isdecimal() and len(since) < 19 else None)
    return web.Response(body=found, content_type="application/json")


async def _csv(request: web.Request) -> web.Response:
    room = _instructor(request)
    return _file("class.csv", "text/csv", sheets.as_csv(room.everyone, room.clock(), room.stuck_after))


async def _json(request: web.Request) -> web.Response:
    room = _instructor(request)
    return _file("class.json", "application/json", sheets.as_json(room.everyone, room.clock(), room.stuck_after))


def _file(name: str, kind: str, text: str) -> web.Response:
    return web.Response(text=text, content_type=kind, charset="utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def _join(request: web.Request) -> web.Response:
    body, room = await _body(request), request.app[_ROOM]
    key = body.get("key", "")
    made = await room.join(_bearer(request), body.get("name", ""), key if isinstance(key, str) else "")
    return web.json_response({"key": made})


async def _report(request: web.Request) -> web.Response:
    # Who may not report is told so before what they send is looked at.
    room, key = request.app[_ROOM], _bearer(request)
    room.known(key)
    await room.heard(key, await _body(request))
    return web.json_response({"heard": True})


async def _leave(request: web.Request) -> web.Response:
    body = await _body(request)
    await request.app[_ROOM].left(_bearer(request), body.get("delete") is True)
    return web.json_response({"left": True})


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is JSON with words for people, and every answer has the class's headers."""
    try:
        answer = await handler(request)
    except Problem as problem:
        answer = web.json_response({"problem": problem.what, "next": problem.next}, status=problem.status)
    except ValueError as problem:
        answer = web.json_response({"problem": str(problem), "next": ""}, status=422)
    except StoreError as problem:
        log.error("%s", problem)
        answer = web.json_response({"problem": "the class's server cannot keep anything now", "next": "tell your instructor"}, status=503)
    except web.HTTPRedirection as found:
        found.headers.update(_HEADERS)
        raise
    except web.HTTPException as problem:
        answer = web.json_response({"problem": f"there is nothing at {request.path}", "next": ""}, status=problem.status)
    answer.headers.update({name: value for name, value in _HEADERS.items() if name not in answer.headers})
    return answer


def application(room: Classroom, base: str = "/", cookie: str = "ai-lab-class", secure: bool = False) -> web.Application:
    """The class at a path that begins and ends with a slash. `cookie` is the name of the browser's cookie, `secure` whether it needs TLS."""
    app = web.Application(middlewares=[_in_words], client_max_size=wire.MOST_BYTES)
    app[_ROOM], app[_COOKIE], app[_BASE], app[_SECURE] = room, cookie, base, secure
    app.add_routes(
        [
            web.get(base, _page),
            web.post(f"{base}api/session", _sign_in),
            web.delete(f"{base}api/session", _sign_out),
            web.get(f"{base}api/view", _view),
            web.get(f"{base}export.csv", _csv),
            web.get(f"{base}export.json", _json),
            web.post(base + wire.TO_JOIN, _join),
            web.post(base + wire.TO_REPORT, _report),
            web.post(base + wire.TO_LEAVE, _leave),
        ]
    )
    if base != "/":
        app.add_routes([web.get(base.rstrip("/"), _slash)])

    async def closed(_: web.Application) -> None:
        await room.close()

    app.on_shutdown.append(closed)
    return app
