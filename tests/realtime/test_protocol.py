"""Raw frames: what Phoenix says in both versions, and that nothing a stranger sends is more than refused."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from api.live import socket as live
from shared.domain.access import Scope
from shared.domain.ids import OwnerId
from shared.store.feed import COLUMNS
from shared.toolbox import Toolbox
from tests.realtime.harness import Api, Told, new_user, token
from tests.realtime.raw import ALL, TOPIC, opened, refused

pytestmark = pytest.mark.integration

NewJob = Callable[..., Told]


def test_a_row_looks_as_hosted_realtime_sends_it(api: Api, key: str, new_job: NewJob) -> None:
    """Reply, system message and change, field by field; the columns as PostgreSQL's catalogue has them."""
    job = new_job()
    wanted = ALL | {"filter": f"job_id=eq.{job.job_id}"}

    async def steps() -> None:
        async with opened(api, key) as raw:
            reply = await raw.join(wanted)
            (echoed,) = reply["response"]["postgres_changes"]
            assert (reply["status"], {**echoed, "id": 0}) == ("ok", {**wanted, "id": 0})
            event, system = await raw.hear()
            said = {"channel": "job", "extension": "postgres_changes", "message": "Subscribed to PostgreSQL"}
            assert (event, system) == ("system", said | {"status": "ok"})
            (row,) = await raw.rows(1)
            assert row["ids"] == [echoed["id"]]
            _same_as_in_the_table(api.toolbox, job, row["data"])

    asyncio.run(steps())


def _same_as_in_the_table(toolbox: Toolbox, job: Told, data: dict[str, Any]) -> None:
    assert {**data, "record": 0, "columns": 0, "commit_timestamp": 0} == {
        **{"schema": "public", "table": "job_progress", "type": "INSERT", "errors": None},
        **{"record": 0, "columns": 0, "commit_timestamp": 0},
    }
    catalogue = (
        "SELECT attname, typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE attrelid = 'job_progress'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    assert toolbox.settings.database_url is not None
    with psycopg.connect(toolbox.settings.database_url.get_secret_value()) as link:
        link.execute("SET TIME ZONE 'UTC'")
        assert tuple(link.execute(catalogue).fetchall()) == COLUMNS
        (record,) = (
            link.execute("SELECT to_jsonb(p) FROM job_progress p WHERE job_id = %s", [job.job_id]).fetchone() or ()
        )
    assert data["columns"] == [{"name": name, "type": kind} for name, kind in COLUMNS]
    assert data["record"] == record
    assert data["commit_timestamp"][:23] == record["updated_at"][:23].split("+")[0].ljust(23, "0")
    assert data["commit_timestamp"].endswith("Z")


BROKEN = {
    "not JSON": ("{", 1007),
    "nothing": ("", 1007),
    "deep": ("[" * 30_000, 1007),
    "a number of many digits": ("[" + "9" * 5_000 + "]", 1007),
    "an object in version 2": ('{"topic": "t"}', 1007),
    "too few": ('["1", "1", "t"]', 1007),
    "no topic": ('[null, null, null, "phx_join", {}]', 1007),
    "a payload of text": ('[null, null, "t", "phx_join", "x"]', 1007),
    "a ref that is a list": ('[null, [], "t", "phx_join", {}]', 1007),
    "a long topic": (json.dumps([None, "1", "t" * 300, "phx_join", {}]), 1007),
    "too much": ("x" * (live.MOST_BYTES + 1), 1009),
    "binary": (b"\x00", 1003),
    "binary, cut short": (b"\x03\x01\x01\xff\x01\x00\x00ab", 1003),
    "binary without text": (b"\x03\x00\x00\x01\x00\x00\x00\xff", 1003),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_frame_ends_the_socket(api: Api, key: str, name: str) -> None:
    """With the code that says why; the next socket works."""
    sent, code = BROKEN[name]

    async def steps() -> None:
        async with opened(api, key) as raw:
            await raw.link.send(sent)
            assert await raw.closed() == code
        async with opened(api, key) as raw:
            await raw.say("phoenix", "heartbeat")
            assert await raw.hear() == ("phx_reply", {"status": "ok", "response": {}})

    asyncio.run(steps())


ODD_JOINS: dict[str, Any] = {
    "config of text": {"config": "x"},
    "changes of text": {"config": {"postgres_changes": "x"}},
    "a change of text": {"config": {"postgres_changes": ["x"]}},
    "an event that is none": {"config": {"postgres_changes": [ALL | {"event": "TRUNCATE"}]}},
    "an event that is a list": {"config": {"postgres_changes": [ALL | {"event": "x", "filter": []}]}},
    "too many changes": {"config": {"postgres_changes": [ALL] * 21}},
    "private": {"config": {"private": True, "postgres_changes": [ALL]}},
    "a bad key": {"access_token": "vi_" + "x" * 43},
    "a bad token": {"access_token": "a.b.c"},
    "an endless token": {"access_token": f"{'a' * 9_000}.b.c", "config": {"private": True}},
}


@pytest.mark.parametrize("name", ODD_JOINS)
def test_odd_joins_are_refused_with_a_reason(api: Api, key: str, name: str) -> None:
    """An error reply, and the socket lives on."""

    async def steps() -> None:
        async with opened(api, key) as raw:
            await raw.say(TOPIC, "phx_join", ODD_JOINS[name])
            event, payload = await raw.hear()
            assert (event, payload["status"]) == ("phx_reply", "error")
            assert payload["response"]["reason"]
            assert (await raw.join(ALL))["status"] == "ok"

    asyncio.run(steps())


WRONG = (
    ALL | {"table": "jobs"},
    ALL | {"schema": "auth"},
    ALL | {"filter": "nothing=eq.1"},
    ALL | {"filter": "job_id=eq.1"},
    ALL | {"filter": "status=match.(a+)+$"},
    ALL | {"filter": "session_id=eq.\x00"},
    ALL | {"filter": "session_id=eq.\ud800"},
    ALL | {"filter": f"job_id=in.({','.join('x' * 101)})"},
    ALL | {"select": ["secret"]},
)


@pytest.mark.parametrize("wanted", WRONG, ids=lambda one: ascii(list(one.items())[-1])[:40])
def test_what_cannot_be_followed_is_said_as_clients_know_it(api: Api, key: str, wanted: dict[str, Any]) -> None:
    """The join is fine, then a system message tells; no row comes of another table."""

    async def steps() -> None:
        async with opened(api, key) as raw:
            assert (await raw.join(wanted))["status"] == "ok"
            event, payload = await raw.hear()
            assert (event, payload["status"]) == ("system", "error")
            assert payload["message"].startswith("Unable to subscribe to changes with given parameters.")

    asyncio.run(steps())


def test_a_filter_lets_through_what_it_says(api: Api, key: str, new_job: NewJob) -> None:
    """By session, by percent, by both; `select` cuts the record."""
    one, two = new_job(session_id="a, b"), new_job(session_id="c")
    for job in (one, two):
        job.tell(10)

    async def count(wanted: dict[str, Any]) -> list[Any]:
        async with opened(api, key) as raw:
            await raw.join(ALL | wanted)
            await raw.hear()
            await raw.say("phoenix", "heartbeat")
            heard = []
            while (found := await raw.hear())[0] != "phx_reply":
                heard.append(found[1]["data"]["record"])
            return heard

    assert {row["session_id"] for row in asyncio.run(count({"filter": "session_id=eq.c"}))} == {"c"}
    assert len(asyncio.run(count({"filter": "percent=gte.0.9,session_id=neq.c"}))) == 2
    assert len(asyncio.run(count({"filter": f"job_id=in.({one.job_id},{two.job_id}),version=not.lte.10"}))) == 2
    (row,) = asyncio.run(count({"filter": "session_id=like.a%,version=eq.2", "select": ["job_id", "version"]}))
    assert row == {"job_id": one.job_id, "version": 2}
    assert asyncio.run(count({"event": "UPDATE"})) == []


def test_who_may_not_open_it_is_told_by_http(api: Api, toolbox: Toolbox, owner: OwnerId) -> None:
    """As hosted Realtime: 401 without or with a bad key, 403 without the scope, 400 for an unknown version."""
    key = toolbox.ledger.create_api_key(owner, "k")
    weak = toolbox.ledger.create_key(owner, "uploads", scopes=[Scope.UPLOADS_WRITE]).secret

    async def steps() -> None:
        assert await refused(api, None) == (401, '{"error":"API key is missing"}')
        assert (await refused(api, "vi_" + "x" * 43))[0] == 401
        assert (await refused(api, weak))[0] == 403
        assert (await refused(api, key, vsn="3.0.0"))[0] == 400
        assert (await refused(api, key, origin="https://evil.example"))[0] == 403
        async with opened(api, key, origin=api.url) as raw:
            assert (await raw.join(ALL))["status"] == "ok"

    asyncio.run(steps())


def test_nobody_hears_without_a_token(api: Api, new_job: NewJob) -> None:
    """A project's public key opens the socket and no more; an expired or forged token is refused at the join."""
    user = new_user()
    new_job(on_behalf_of=user).tell(2)

    async def steps() -> None:
        async with opened(api, "sb_publishable_x") as raw:
            for more in ({}, {"access_token": token(user, lasts_s=-5)}, {"access_token": token(user) + "x"}):
                assert (await raw.join(ALL, **more))["response"]["reason"].startswith("InvalidJWTToken")
            assert (await raw.join(ALL, access_token=token(user)))["status"] == "ok"
            await raw.hear()
            assert len(await raw.rows(3)) == 3

    asyncio.run(steps())


def test_leaving_and_what_is_not_offered(api: Api, key: str, new_job: NewJob) -> None:
    """Leave is answered, then closed; broadcasts, binary ones too, get an error; unknown topics are unmatched."""
    job = new_job()

    async def steps() -> None:
        async with opened(api, key) as raw:
            await raw.join()
            for event in ("broadcast", "presence", "made-up"):
                await raw.say(TOPIC, event, {"type": event})
                assert "not offered" in (await raw.hear())[1]["response"]["reason"]
            parts = (b"j", b"9", TOPIC.encode(), b"cursor")
            await raw.link.send(bytes([3, *map(len, parts), 0, 1]) + b"".join(parts) + b"{}")
            assert "not offered" in (await raw.hear())[1]["response"]["reason"]
            await raw.say("realtime:other", "broadcast")
            assert (await raw.hear())[1]["response"] == {"reason": "unmatched topic"}
            await raw.say(TOPIC, "phx_leave")
            assert await raw.hear() == ("phx_reply", {"status": "ok", "response": {}})
            assert await raw.hear() == ("phx_close", {})
            await asyncio.to_thread(job.tell, 2)
            await raw.say("phoenix", "heartbeat")
            assert (await raw.hear())[0] == "phx_reply"

    asyncio.run(steps())


def test_a_bad_new_token_closes_the_channel(api: Api, key: str) -> None:
    """With a system message; and a key of another owner's moves the channel to that owner's rows."""

    async def steps() -> None:
        async with opened(api, key) as raw:
            await raw.join()
            await raw.say(TOPIC, "access_token", {"access_token": "a.b.c"})
            event, payload = await raw.hear()
            assert (event, payload["status"], payload["extension"]) == ("system", "error", "system")
            assert await raw.hear() == ("phx_close", {})

    asyncio.run(steps())
