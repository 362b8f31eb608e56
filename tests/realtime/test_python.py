"""The Python client of Supabase as PyPI has it, against our channel."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from realtime import AsyncRealtimeClient
from supabase import AsyncClient, acreate_client

from tests.realtime.harness import WITHIN_S, Api, Seen, Told, new_user, token

# The client reads a property that its own library has renamed.
OLD_NAMES = ("code", "reason")
pytestmark = [
    pytest.mark.integration,
    *(pytest.mark.filterwarnings(f"ignore:ConnectionClosed.{name} is:DeprecationWarning") for name in OLD_NAMES),
]

NewJob = Callable[..., Told]


async def until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}"
        await asyncio.sleep(0.02)


async def follow(realtime: AsyncRealtimeClient, seen: Seen, name: str, filter_: str | None = None) -> None:
    """As a page would: subscribe, and keep each row once."""
    channel = realtime.channel(name)
    channel.on_postgres_changes(
        "INSERT",
        schema="public",
        table="job_progress",
        filter=filter_,
        callback=lambda told: seen.row(name, told["data"]["record"]),  # type: ignore[arg-type, index]
    )
    channel.on_system(lambda told: seen.systems.append((name, told.status, told.message)))  # type: ignore[arg-type, attr-defined, return-value]
    await channel.subscribe(lambda status, error: seen.statuses.append((name, status.value)))


def run(steps: Callable[[AsyncClient, Seen], Coroutine[Any, Any, None]], url: str, key: str) -> Seen:
    async def session() -> Seen:
        seen, client = Seen(), await acreate_client(url, key)
        try:
            await steps(client, seen)
        finally:
            await client.realtime.remove_all_channels()
        return seen

    return asyncio.run(session())


def test_two_channels_on_one_socket_across_a_cut(api: Api, key: str, new_job: NewJob) -> None:
    """One by job, one by session; the socket dies in the middle, and neither loses or repeats a row for the page."""
    one, two = new_job(session_id="first"), new_job(session_id="second, of two")
    stranger = new_job(owner=api.toolbox.ledger.create_owner("other"), session_id="first")

    async def steps(client: AsyncClient, seen: Seen) -> None:
        await follow(client.realtime, seen, "by job", f"job_id=eq.{one.job_id}")
        await follow(client.realtime, seen, "by session", "session_id=in.(first)")
        await until(lambda: len(seen.systems) == 2, "both are subscribed")
        await asyncio.to_thread(lambda: [job.tell(10) for job in (one, two, stranger)])
        await until(lambda: seen.versions("by job", one.job_id) == one.versions, "rows before the cut")
        api.cut()
        await asyncio.to_thread(one.tell, 10)
        await until(lambda: len(seen.systems) == 4, "both are joined again")
        await asyncio.to_thread(one.tell, 10)
        for name in ("by job", "by session"):
            await until(lambda name=name: seen.versions(name, one.job_id) == one.versions, name)  # type: ignore[misc]
        await until(lambda: api.sockets == 1, "one socket for both")

    assert run(steps, api.url, key).jobs() == {one.job_id}


def test_a_users_token_is_refreshed_midway(api: Api, new_job: NewJob) -> None:
    """Rows asked for in the user's name come, before and after a new token; the first one's end is no end."""
    user = new_user()
    mine, other = new_job(on_behalf_of=user), new_job(on_behalf_of=new_user())

    async def steps(client: AsyncClient, seen: Seen) -> None:
        await client.realtime.set_auth(token(user, lasts_s=4))
        await follow(client.realtime, seen, "job")
        await until(lambda: len(seen.systems) == 1, "subscribed")
        await asyncio.to_thread(lambda: [job.tell(5) for job in (mine, other)])
        await until(lambda: seen.versions("job", mine.job_id) == mine.versions, "rows with the first token")
        await client.realtime.set_auth(token(user))
        await asyncio.sleep(5)
        await asyncio.to_thread(lambda: [job.tell(5) for job in (mine, other)])
        await until(lambda: seen.versions("job", mine.job_id) == mine.versions, "rows with the second token")

    seen = run(steps, api.url, "sb_publishable_key-of-the-project")
    assert seen.jobs() == {mine.job_id}
    assert [status for _, status in seen.statuses] == ["SUBSCRIBED"]


def test_a_token_that_ends_closes_the_channel(api: Api, new_job: NewJob) -> None:
    """In words that the client knows, and nothing comes afterwards."""
    user = new_user()
    job = new_job(on_behalf_of=user)

    async def steps(client: AsyncClient, seen: Seen) -> None:
        await client.realtime.set_auth(token(user, lasts_s=2))
        await follow(client.realtime, seen, "job")
        await until(lambda: ("job", "CHANNEL_ERROR") in seen.statuses, "the end of the token")
        await asyncio.to_thread(job.tell, 5)
        await asyncio.sleep(0.5)

    seen = run(steps, api.url, "sb_publishable_key-of-the-project")
    assert seen.versions("job", job.job_id) in ([1], [])


def test_broadcast_is_refused_and_rows_come_all_the_same(api: Api, key: str, new_job: NewJob) -> None:
    """A page that sends a broadcast or tracks its presence loses neither its socket nor its rows."""
    job = new_job()

    async def steps(client: AsyncClient, seen: Seen) -> None:
        await follow(client.realtime, seen, "job", f"job_id=eq.{job.job_id}")
        await until(lambda: len(seen.systems) == 1, "subscribed")
        channel = client.realtime.get_channels()[0]
        await channel.send_broadcast("cursor", {"x": 1})
        await channel.track({"online": True})
        await asyncio.to_thread(job.tell, 3)
        await until(lambda: seen.versions("job", job.job_id) == job.versions, "rows after the broadcast")

    run(steps, api.url, key)
