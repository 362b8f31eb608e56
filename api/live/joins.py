"""What a client may say on a socket: join, leave, bring a new token, give a sign of life. The rest is refused."""

import time
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from anyio.to_thread import run_sync

from api.live.bindings import JoinRefused, read_bindings
from api.live.callers import Caller, identify, is_token
from api.live.channel import PREFIX, Channel
from api.live.frames import Frame
from api.live.places import TooMany
from api.live.socket import Socket
from shared.domain.errors import StorageUnavailable, VibeInsightError
from shared.store import keys
from shared.store.feed import FeedRow, ProgressFeed

MOST_CHANNELS = 100  # of one socket, as hosted Realtime
MOST_JOINS, JOINS_S = MOST_CHANNELS, 10.0  # who comes back joins all of their channels at once
REPLAYED_ROWS = 1_000  # of a job or a session: the latest
LATELY_S = 120.0  # for who names neither: what went on within two minutes, longer than clients take to come back
ONLY_ROWS = "This channel carries postgres_changes of job_progress; broadcast and presence are not offered here"


async def handle(socket: Socket, frame: Frame) -> None:
    match frame.event:
        case "heartbeat" if frame.topic == "phoenix":
            _reply(socket, frame, "ok", {})
        case "phx_join":
            await _join(socket, frame)
        case "phx_leave":
            _leave(socket, frame)
        case _ if frame.topic not in socket.channels:
            _reply(socket, frame, "error", {"reason": "unmatched topic"})
        case "access_token":
            await _refresh(socket, socket.channels[frame.topic], frame.payload)
        case _:
            _reply(socket, frame, "error", {"reason": ONLY_ROWS})


async def _join(socket: Socket, frame: Frame) -> None:
    try:
        channel, config = await _opened(socket, frame)
    except (JoinRefused, TooMany) as error:
        _reply(socket, frame, "error", {"reason": str(error)})
    except StorageUnavailable as error:
        _reply(socket, frame, "error", {"reason": f"DatabaseUnavailable: {error.message}"})
    except VibeInsightError as error:
        _reply(socket, frame, "error", {"reason": f"InvalidJWTToken: {error.message}"})
    else:
        echoed = [{**binding.asked, "id": binding.id} for binding in channel.bindings]
        _reply(socket, frame, "ok", {"postgres_changes": echoed})
        if _wants_presence(config):
            socket.send(channel.push("presence_state", {}))
        await _begin(socket, channel)


async def _opened(socket: Socket, frame: Frame) -> tuple[Channel, Mapping[str, Any]]:
    """A second join of a topic takes the place of the first, as after a client's own timeout."""
    config = frame.payload.get("config") or {}
    _check(socket, frame, config)
    bindings = read_bindings(config.get("postgres_changes"))
    caller = await _caller(socket, frame.payload)
    socket.place.name(caller.owner_id)
    socket.note(caller.key_id)
    if frame.topic in socket.channels:
        socket.forget(socket.channels[frame.topic])
    channel = Channel(frame.topic, frame.join_ref or frame.ref, caller, bindings, socket.send)
    socket.channels[frame.topic] = channel
    socket.hub.add(channel)
    return channel, config


def _check(socket: Socket, frame: Frame, config: object) -> None:
    now = time.monotonic()
    while socket.joins and now - socket.joins[0] > JOINS_S:
        socket.joins.popleft()
    if len(socket.joins) >= MOST_JOINS:
        raise JoinRefused("ClientJoinRateLimitReached: Too many joins per second")
    socket.joins.append(now)
    if not frame.topic.startswith(PREFIX) or frame.topic == PREFIX:
        raise JoinRefused("unmatched topic")
    if not isinstance(config, dict):
        raise JoinRefused("config is an object")
    if frame.topic not in socket.channels and len(socket.channels) >= MOST_CHANNELS:
        raise JoinRefused("ChannelRateLimitReached: Too many channels")
    if config.get("private") is True:
        name = frame.topic.removeprefix(PREFIX)
        raise JoinRefused(f"Unauthorized: You do not have permissions to read from this Channel topic: {name}")


async def _caller(socket: Socket, payload: Mapping[str, Any]) -> Caller:
    """The join's own token, if it brings one; else who the address named. Raises a VibeInsightError."""
    token = payload.get("access_token") or payload.get("user_token")
    if isinstance(token, str) and (token.startswith(keys.PREFIX) or is_token(token)):
        if socket.caller is not None and token == socket.caller.secret and not socket.caller.expired:
            return socket.caller
        return await run_sync(identify, socket.tools, token)
    if socket.caller is None or socket.caller.expired:
        raise JoinRefused("InvalidJWTToken: send an API key or a user's token as access_token")
    return socket.caller


async def _begin(socket: Socket, channel: Channel) -> None:
    """Says whether rows will come; then those from before, then those that came meanwhile."""
    refused = [binding.refused for binding in channel.bindings if binding.refused]
    if refused:  # as hosted Realtime: one that cannot be, and none of the channel is
        socket.hub.remove(channel)
        socket.send(channel.system("error", refused[0]))
    elif channel.bindings:
        socket.send(channel.system("ok", "Subscribed to PostgreSQL"))
        try:
            await _replay(socket, channel)
        except StorageUnavailable:
            socket.drop(channel, "The database does not answer; try again")
        else:
            channel.go_live()


async def _replay(socket: Socket, channel: Channel) -> None:
    found: dict[tuple[str, str, int], FeedRow] = {}
    for job, session in {(one.named("job_id"), one.named("session_id")) for one in channel.bindings if one.inserts}:
        rows = await run_sync(_visible, ProgressFeed(socket.tools.ledger.database), channel.caller, job, session)
        found |= {(row.record["updated_at"], row.job_id, row.version): row for row in rows}
    for _, row in sorted(found.items(), key=itemgetter(0)):
        frame = channel.first(row)
        if frame is not None:
            await socket.send_when_possible(frame)


def _visible(feed: ProgressFeed, caller: Caller, job: str | None, session: str | None) -> list[FeedRow]:
    return feed.visible(
        caller.owner_id, caller.user_id, job=job, session=session, lately_s=LATELY_S, most=REPLAYED_ROWS
    )


def _leave(socket: Socket, frame: Frame) -> None:
    channel = socket.channels.get(frame.topic)
    _reply(socket, frame, "ok", {})
    if channel is not None:
        socket.forget(channel)
        socket.send(Frame(frame.topic, "phx_close", {}, channel.join_ref, channel.join_ref))


async def _refresh(socket: Socket, channel: Channel, payload: Mapping[str, Any]) -> None:
    """No reply, as clients expect. A token that is not good closes the channel."""
    token = payload.get("access_token")
    if not isinstance(token, str) or token == channel.caller.secret:
        return
    try:
        caller = await run_sync(identify, socket.tools, token)
    except StorageUnavailable:
        pass  # the token before is still good, or is found not to be
    except VibeInsightError as error:
        socket.drop(channel, error.message)
    else:
        if socket.channels.get(channel.topic) is channel:  # it may have expired meanwhile
            socket.hub.remove(channel)
            channel.caller = caller
            socket.hub.add(channel)


def _wants_presence(config: Mapping[str, Any]) -> bool:
    presence = config.get("presence")
    return isinstance(presence, dict) and presence.get("enabled") is True


def _reply(socket: Socket, frame: Frame, status: str, response: Mapping[str, Any]) -> None:
    payload = {"status": status, "response": response}
    socket.send(Frame(frame.topic, "phx_reply", payload, frame.ref, frame.join_ref))
