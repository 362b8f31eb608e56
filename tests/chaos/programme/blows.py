"""How each part is hurt. A blow that finds nothing to hurt raises Missed and is tried again a moment later."""

import contextlib
import random
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import redis

from shared.domain.ids import RunId
from shared.domain.job import Stage
from tests.chaos.programme.crew import DISK_MB, Worker, limit
from tests.chaos.programme.recovery import Recovery
from tests.chaos.programme.world import World
from tests.engine_processes import send

COPIES = 40  # messages that one blow sends: 25 blows make a thousand
SPARE_MB = 40  # what a process may still take under its memory limit: less than the lab's `hungry` job needs
HOURS = 3600.0
DEFAULT_FILE_LIMIT = 4096  # bytes a file, where no small disk could be mounted

Heal = Callable[[], None]


class Missed(Exception):
    """There was nothing to hurt."""


@dataclass(frozen=True)
class Strike:
    world: World
    draw: random.Random
    recovery: Recovery
    complaints: list[str] = field(default_factory=list)  # what should have been possible and was not


def kill_child(strike: Strike) -> None:
    """A child that is at work, if there is one: the rarer blow is the one that hurts."""
    place = _a_worker(strike)
    worker = strike.world.crew.workers[place]
    busy = sorted(set(worker.at_work().values()))
    pids = busy or [child.pid for child in worker.children()]
    if not pids:
        raise Missed
    pid = strike.draw.choice(pids)
    strike.recovery.note("child", [token for token, holder in worker.at_work().items() if holder == pid])
    send(pid, signal.SIGKILL)


def kill_worker(strike: Strike) -> None:
    place = _a_worker(strike)
    strike.recovery.note("worker", list(strike.world.crew.workers[place].at_work()))
    strike.world.crew.replace_worker(place)


def kill_steward(strike: Strike) -> None:
    strike.world.crew.replace_steward(strike.draw.randrange(len(strike.world.crew.stewards)))


def kill_api(strike: Strike) -> None:
    strike.world.crew.replace_api()


def kill_ffmpeg(strike: Strike) -> None:
    decoders = [
        (worker, process)
        for worker in strike.world.crew.workers
        for process in worker.family()
        if _named(process, "ffmpeg")
    ]
    if not decoders:
        raise Missed
    worker, chosen = strike.draw.choice(decoders)
    with contextlib.suppress(psutil.NoSuchProcess):
        child = chosen.ppid()
        strike.recovery.note("ffmpeg", [token for token, holder in worker.at_work().items() if holder == child])
    send(chosen.pid, signal.SIGKILL)


def freeze_worker(strike: Strike) -> Heal:
    """For longer than the lease (the table says so): what it held belongs to somebody else when it wakes up."""
    family = strike.world.crew.workers[_a_worker(strike)].family()
    for member in family:
        send(member.pid, signal.SIGSTOP)

    def wake() -> None:
        for member in family:
            if member.is_running():
                send(member.pid, signal.SIGCONT)

    return wake


def send_copies(strike: Strike) -> None:
    """Of messages for runs in any state: queued, at work, done long ago."""
    query = "SELECT stage, id::text FROM stage_runs ORDER BY status = 'done', created_at DESC LIMIT 200"
    runs = [(Stage(stage), RunId(run_id)) for stage, run_id in strike.world.lab.execute(query)]
    if not runs:
        raise Missed
    chosen = [strike.draw.choice(runs) for _ in range(COPIES)]
    if strike.world.lab.tools.doorbell.ring(chosen) < COPIES:
        raise Missed


def flush_redis(strike: Strike) -> None:
    url = strike.world.lab.tools.settings.redis_url
    assert url is not None
    try:
        with redis.Redis.from_url(url.get_secret_value()) as link:
            link.flushall()
    except redis.RedisError as error:
        raise Missed from error


def stop_server(name: str, number: signal.Signals) -> Callable[[Strike], Heal]:
    def inject(strike: Strike) -> Heal:
        server = strike.world.server(name)
        if not server.alive:
            raise Missed
        send(server.pid, number)
        return lambda: strike.world.start_again(name)

    return inject


def lose_redis(strike: Strike) -> Heal:
    """As a Redis without persistence: nothing of it comes back."""
    heal = stop_server("valkey", signal.SIGKILL)(strike)

    def start_empty() -> None:
        folder = strike.world.server("valkey").recipe.folder
        shutil.rmtree(folder / "appendonlydir", ignore_errors=True)
        heal()

    return start_empty


def cut_connections(strike: Strike) -> None:
    """Of everybody, in the middle of whatever they do."""
    everybody = "pid <> pg_backend_pid() AND datname = current_database()"
    strike.world.lab.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {everybody}")


def fill_disk(strike: Strike) -> Heal:
    """The worker's own small disk to its last block; where none could be mounted, a limit on each file's size."""
    worker = strike.world.crew.workers[_a_worker(strike)]
    if not strike.world.crew.has_small_disks:
        return _limit_children(worker, resource.RLIMIT_FSIZE, lambda _: DEFAULT_FILE_LIMIT)
    if not worker.has_own_disk():  # it is just being started
        raise Missed
    filler = worker.disk() / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for _ in range(DISK_MB):
                file.write(b"\0" * 1024**2)
    except OSError as error:
        raise Missed from error
    return lambda: filler.unlink(missing_ok=True)


def exhaust_memory(strike: Strike) -> Heal:
    worker = strike.world.crew.workers[_a_worker(strike)]
    return _limit_children(worker, resource.RLIMIT_AS, lambda child: child.memory_info().vms + SPARE_MB * 1024**2)


def jump_clock(strike: Strike) -> Heal:
    """Hours forward or back, beyond every time-out there is."""
    clock = strike.world.crew.workers[_a_worker(strike)].clock
    clock.write_text(str(strike.draw.choice((-26, -2, 2, 26)) * HOURS))

    def set_right() -> None:
        clock.write_text("0")

    return set_right


def _limit_children(worker: Worker, kind: int, most: Callable[[psutil.Process], int]) -> Heal:
    children = worker.children()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            limit(child, kind, most(child))

    def lift() -> None:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                limit(child, kind, resource.RLIM_INFINITY)

    return lift


def _a_worker(strike: Strike) -> int:
    return strike.draw.randrange(len(strike.world.crew.workers))


def _named(process: psutil.Process, name: str) -> bool:
    try:
        return name in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
