"""What a socket may take up, and when it ends."""

import asyncio
import logging
import socket
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from api.live import socket as live
from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.realtime.harness import Api, Told, running
from tests.realtime.raw import ALL, opened, refused

pytestmark = pytest.mark.integration

NewJob = Callable[..., Told]


def test_limits_of_sockets_channels_and_joins(toolbox: Toolbox, owner: OwnerId) -> None:
    """The third socket of an owner is refused with 429 until one ends; the 101st join at once with a reason."""
    small = Toolbox(toolbox.settings.model_copy(update={"realtime_sockets_per_owner": 2}))
    key = toolbox.ledger.create_api_key(owner, "k")

    async def steps(api: Api) -> None:
        async with opened(api, key) as raw:
            async with opened(api, key):
                assert (await refused(api, key))[0] == 429
            async with opened(api, key):
                for number in range(100):
                    assert (await raw.join(topic=f"realtime:{number}"))["status"] == "ok"
                reply = await raw.join(topic="realtime:more")
                assert "Too many joins" in reply["response"]["reason"]

    with running(small) as api:
        asyncio.run(steps(api))
    small.close()


def test_who_does_not_read_is_closed(api: Api, key: str, new_job: NewJob) -> None:
    """The queue has an end. Others of the same owner go on hearing."""
    job = new_job()

    async def steps() -> None:
        narrow = socket.create_connection(("127.0.0.1", api.port))
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with opened(api, key) as good, opened(api, key, sock=narrow, max_queue=1, compression=None) as lazy:
            await good.join(ALL)
            for number in range(90):
                await lazy.say(f"realtime:{number}", "phx_join", {"config": {"postgres_changes": [ALL]}})
            await asyncio.sleep(1)
            telling = asyncio.create_task(asyncio.to_thread(job.tell, 100))
            await good.hear()
            await good.rows(101)
            await telling
            for _ in range(100):
                if api.sockets == 1:
                    break
                await asyncio.sleep(0.1)
            assert api.sockets == 1
            lazy.link.transport.abort()

    asyncio.run(steps())


def test_no_key_is_in_the_servers_own_log(api: Api, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn writes the address of each socket; ours has forgotten its query by then."""
    caplog.set_level(logging.INFO, "uvicorn.error")

    async def steps() -> None:
        async with opened(api, key) as raw:
            await raw.join()
        await refused(api, "vi_" + "x" * 43)

    asyncio.run(steps())
    assert "/realtime/v1/websocket" in caplog.text
    assert "apikey" not in caplog.text


def test_a_socket_counts_against_its_address(toolbox: Toolbox, owner: OwnerId) -> None:
    """Who opens sockets to try out keys is stopped like any caller: 429 with the time to wait."""
    assert toolbox.settings.redis_url is not None
    elsewhere = SecretStr(toolbox.settings.redis_url.get_secret_value().replace("/1002", "/1003"))
    own = {"address_rate_limit_per_minute": 5, "rate_limit_per_minute": 60, "redis_url": elsewhere}
    small = Toolbox(toolbox.settings.model_copy(update=own))

    async def steps(api: Api) -> None:
        answers = [await refused(api, "vi_" + "x" * 43) for _ in range(8)]
        assert {status for status, _ in answers} == {401, 429}

    with running(small) as api:
        asyncio.run(steps(api))
    small.close()


def test_only_known_names_are_answered(toolbox: Toolbox, owner: OwnerId) -> None:
    """A page whose own name points here reaches no socket."""
    own = Toolbox(toolbox.settings.model_copy(update={"allowed_hosts": ("api.example.com",)}))
    key = toolbox.ledger.create_api_key(owner, "k")

    async def steps(api: Api) -> None:
        assert (await refused(api, key))[0] == 403

    with running(own) as api:
        asyncio.run(steps(api))
    own.close()


def test_a_revoked_key_hears_nothing_more(api: Api, toolbox: Toolbox, owner: OwnerId, new_job: NewJob) -> None:
    """A minute later at most: the channel is told, and closed; a key that is good is left alone."""
    made, job = toolbox.ledger.create_key(owner, "k"), new_job()

    async def steps() -> None:
        async with opened(api, made.secret) as raw:
            await raw.join(ALL)
            await raw.hear()
            await raw.rows(1)
            await api.a_minute_later()
            await asyncio.to_thread(job.tell, 1)
            await raw.rows(1)
            toolbox.ledger.revoke_key(owner, made.key.id)
            await api.a_minute_later(2)
            event, payload = await raw.hear()
            assert (event, payload["status"]) == ("system", "error")
            assert await raw.hear() == ("phx_close", {})
            await asyncio.to_thread(job.tell, 1)
            await raw.say("phoenix", "heartbeat")
            assert (await raw.hear())[0] == "phx_reply"

    asyncio.run(steps())


def test_the_silent_and_the_empty_are_closed(api: Api, key: str) -> None:
    """After three heartbeats that did not come, or a minute without a channel."""

    async def steps() -> None:
        async with opened(api, key) as silent, opened(api, key) as empty:
            await silent.join(ALL)
            await empty.say("phoenix", "heartbeat")
            await empty.hear()
            api.look_in(live.EMPTY_S + 1)
            assert await empty.closed() == 1001
            await silent.say("phoenix", "heartbeat")
            api.look_in(live.SILENT_S + 1)
            assert await silent.closed() == 1001

    asyncio.run(steps())
