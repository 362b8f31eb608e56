"""The connection to PostgreSQL. Works behind a transaction pooler: no session locks, no prepared statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from shared.domain.errors import SetupError, StorageUnavailable
from shared.settings import Settings

POOL_SIZE = 2  # a worker's child needs one for the work and one for the heartbeat
POOL_OVERFLOW = 8  # the API serves as many requests at once from its thread pool
POOL_WAIT_S = 10  # then say so, instead of holding a request
CONNECT_TIMEOUT_S = 5
KEEPALIVE_S = 30  # a partition without a reset is noticed
RESTED_S = 1.0
_USED_AT = "vibeinsight.used_at"


def database_url(settings: Settings) -> str:
    """The configured address, with the driver that we use."""
    if settings.database_url is None:
        raise SetupError("No database is configured; set VIBEINSIGHT_DATABASE_URL or run `vibeinsight up`")
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def open_engine(settings: Settings) -> Engine:
    """Nothing is connected yet."""
    engine = create_engine(
        database_url(settings),
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_WAIT_S,
        hide_parameters=True,  # rows hold addresses with signatures: never in a message
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": KEEPALIVE_S,
            "application_name": "vibeinsight",
        },
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ping_after_rest)
    return engine


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = monotonic()


def _ping_after_rest(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
    """Whether it still lives is asked only of one that has rested: a question each time is a round trip each time."""
    if monotonic() - record.info.get(_USED_AT, monotonic()) < RESTED_S:
        return
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error  # the pool opens another


# Both end with the transaction. The role may read, and only what the policies of migration 0008 show it.
_BECOME_OWNER = text(
    "SELECT set_config('vibeinsight.owner_id', :owner, true), set_config('role', 'vibeinsight_owner', true)"
)


class Database:
    """Hands out transactions, and tells a database that does not answer from one that says no."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction. A lost connection or a full pool is StorageUnavailable; other errors pass."""
        with self._told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def once(self) -> Iterator[Connection]:
        """For a single statement, which is its own transaction: one round trip instead of three."""
        alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._told(), alone.connect() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise StorageUnavailable("Every connection to the database is in use; try again") from error
        except DBAPIError as error:
            if not _unreachable(error):
                raise
            raise StorageUnavailable("The database does not answer; try again") from error

    @contextmanager
    def reading_as(self, owner_id: str) -> Iterator[Connection]:
        """One transaction to read in, in which PostgreSQL itself shows the rows of this owner and no others: a query
        that forgets to ask for the owner finds nothing of anybody else's.
        """
        with self.begin() as connection:
            connection.execute(_BECOME_OWNER, {"owner": owner_id})
            yield connection

    def forget_connections(self) -> None:
        """For a forked child, and after an interruption: the sockets belong to somebody else, or are half read."""
        self.engine.dispose(close=False)


def on_commit(connection: Connection, act: Callable[[], object]) -> None:
    """`act` once, when this transaction is committed; never, when it is not."""
    event.listen(connection, "commit", lambda _: act(), once=True)


def _unreachable(error: DBAPIError) -> bool:
    """Connection failures and an administrator's shutdown; not a violated constraint or bad SQL."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state[:2] in {"08", "57", "53"} or (not state and _is_operational(error))


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in {"OperationalError", "InterfaceError"}
