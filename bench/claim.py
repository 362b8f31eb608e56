"""What a claim costs with 100 to 100,000 runs waiting, on a real PostgreSQL: its plan, its pages, p50 and p95.

    python bench/claim.py [--json] [--sizes 100 1000 10000 100000]

The waiting runs belong to 50 owners. Beside each figure stands that of a bare commit of one row by primary key on the
same connection at the same moment: what no claim could be cheaper than.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from cli.stack import Stack
from shared.settings import Settings
from shared.store.migrate import upgrade
from shared.store.runs import RunLedger
from shared.toolbox import Toolbox
from tests.engine_crowd import crowd, explain_claim, hint_of, nodes
from workers.rules import PipelineRules

SIZES = (100, 1_000, 10_000, 100_000)
OWNERS, CLAIMS = 50, 200
BARE = text("UPDATE owners SET name = name WHERE id = (SELECT id FROM owners LIMIT 1)")


def timed_ms(act: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50_ms": round(cuts[9], 2), "p95_ms": round(cuts[18], 2)}


def measure(tools: Toolbox, waiting: int) -> dict[str, Any]:
    """The queue is emptied and filled anew; claims are taken from it, none is finished."""
    database = tools.ledger.database
    with database.begin() as connection:
        connection.execute(text("TRUNCATE owners CASCADE"))
        crowd(connection, waiting, owners=min(OWNERS, waiting))
        connection.execute(text("ANALYZE"))
    with database.begin() as connection:
        hint = hint_of(connection)
        plan = explain_claim(connection, hint)
        connection.rollback()
    runs = RunLedger(database, PipelineRules(2))
    times = min(CLAIMS, waiting // 2)

    def bare() -> None:
        with database.begin() as connection:
            connection.execute(BARE)

    def claim() -> None:
        assert runs.claim(hint, message_id="bench", lease_s=600) is not None

    timed_ms(claim, 5)
    floor = percentiles(timed_ms(bare, times))
    return {"waiting": waiting, "claim": percentiles(timed_ms(claim, times)), "bare_commit": floor, **outline(plan)}


def outline(explained: dict[str, Any]) -> dict[str, Any]:
    """Which indexes were read, how many pages were touched, how long the statement took in the server."""
    plan = explained["Plan"]
    steps = nodes(plan)
    return {
        "server_ms": round(explained["Execution Time"], 3),
        "pages": plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        "most_rows_in_a_step": max(step["Actual Rows"] * step["Actual Loops"] for step in steps),
        "indexes": sorted({step["Index Name"] for step in steps if "Index Name" in step}),
        "scans": sorted({step["Node Type"] for step in steps if "Scan" in step["Node Type"]}),
    }


def figures(sizes: list[int]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        empty = Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=Path(folder) / "data")
        with Stack.start(empty, durable=False) as stack:
            upgrade(stack.settings)
            tools = Toolbox(stack.settings)
            found = [measure(tools, size) for size in sizes]
            tools.close()
    return found


def report(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(title="A claim, by the length of the queue", title_justify="left")
    for column in ("waiting", "p50 ms", "p95 ms", "bare p50", "server ms", "pages", "rows"):
        table.add_column(column, justify="right")
    for row in rows:
        claim, bare = row["claim"], row["bare_commit"]
        shown = (row["waiting"], claim["p50_ms"], claim["p95_ms"], bare["p50_ms"], row["server_ms"], row["pages"])
        table.add_row(*map(str, shown), str(row["most_rows_in_a_step"]))
    console.print(table)
    for row in rows:
        console.print(f"{row['waiting']:>7}: {', '.join(row['scans'])} over {', '.join(row['indexes'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    asked = parser.parse_args()
    rows = figures(asked.sizes)
    if asked.json:
        print(json.dumps(rows))
    else:
        report(rows, Console())


if __name__ == "__main__":
    main()
