"""Writes docs/reliability.md: what was done to the engine, what it cost, and that nothing was lost."""

from pathlib import Path

from tests.chaos.programme.record import Record, Waits, keep, load

DOCS = Path(__file__).parents[3] / "docs"
PAGE, DATA = DOCS / "reliability.md", DOCS / "reliability.json"
KEPT = 12  # runs

_INTRODUCTION = """# Reliability

Written by `make chaos`: every run adds itself. Do not edit it by hand.

The programme (`tests/chaos/programme/`) starts an engine of its own: PostgreSQL, Valkey and an S3 server, the API,
two stewards and two workers with three prefork children each. For as long as the storm lasts a client submits jobs
over HTTP, and everything below goes wrong at moments drawn from the seed, several things at once. Then the servers are
left in peace, and one oracle looks at every row and every object.
"""


def add(record: Record) -> None:
    records = [*load(DATA), record][-KEPT:]
    keep(DATA, records)
    PAGE.write_text(page(records))


def one(record: Record) -> str:
    """For the terminal."""
    lines = [f"seed {record.seed}: {'passed' if record.passed else 'FAILED'}, {record.jobs} jobs, {record.kills} kills"]
    lines += [f"  {what}: {_waits(waits)}" for what, waits in record.recovery.items()]
    lines += [f"  broken: {rule}: {wrong}" for rule, found in record.wrong.items() for wrong in found]
    return "\n".join(lines)


def page(records: list[Record]) -> str:
    latest = next((record for record in reversed(records) if record.profile == "long"), records[-1])
    parts = [_INTRODUCTION, _runs(records), _faults(latest), _recovery(latest), _rules(latest), _AGAIN]
    return "\n".join(parts)


def _runs(records: list[Record]) -> str:
    head = ["seed", "date", "storm", "lease", "jobs", "stage runs", "kills", "copies", "again", "median", "outcome"]
    rows = [_run(record) for record in reversed(records)]
    told = "*again*: claims beyond the first of a run. *median*: from a kill to the next claim of what was hit.\n"
    return "## Runs\n\n" + _table(head, rows) + "\n" + told


def _run(record: Record) -> list[object]:
    waits = record.recovery.get("every kill")
    outcome = "passed" if record.passed else "**failed**: " + "; ".join(record.wrong)
    storm, lease = f"{record.storm_s / 60:.0f} min", f"{record.lease_s:.0f} s"
    median = f"{waits.median_s:.1f} s" if waits else "-"
    figures = [record.jobs, record.runs, record.kills, record.copies, record.attempts_again]
    return [record.seed, record.date, storm, lease, *figures, median, outcome]


def _faults(record: Record) -> str:
    rows = [[name, times] for name, times in record.faults.items()]
    struck = ", ".join(f"{what}: {hits}" for what, hits in sorted(record.struck.items()))
    return (
        f"{_titled('What went wrong', record)}\n{_table(['fault', 'times'], rows)}\nRequests that suffered: {struck}.\n"
    )


def _recovery(record: Record) -> str:
    rows = [[what, *_figures(waits)] for what, waits in record.recovery.items()]
    head = ["hit", "work under way", "median", "9 in 10", "longest"]
    note = (
        "From the blow to the next claim of the stage that was under way, by the database's clock; for the API, until "
        "it took a job again. A lost child is noticed by its worker; a lost worker by the end of its lease; a decoder "
        "that was killed ends its stage, which is then tried again after its pause.\n"
    )
    return f"{_titled('Recovery', record)}\n{_table(head, rows)}\n{note}"


def _rules(record: Record) -> str:
    rows = [[rule, seen, "no" if rule in record.wrong else "yes"] for rule, seen in record.verdicts.items()]
    tail = (
        f"The oldest stage run was {record.oldest_run_s:.0f} s old. After the last blow it took {record.drain_s:.0f} s"
    )
    replayed = f" until every job had ended; {record.replayed} had used up their attempts and were asked for again.\n"
    return f"{_titled('What held', record)}\n{_table(['rule', 'looked at', 'held'], rows)}\n{tail}{replayed}"


_AGAIN = """## Again

`make chaos` does it once more with another seed, `make chaos SEED=…` with the same. `make test` has a short one.
"""


def _titled(title: str, record: Record) -> str:
    return f"## {title}\n\nSeed {record.seed}, {record.date}, {record.cores} cores.\n"


def _figures(waits: Waits) -> list[object]:
    return [waits.count, f"{waits.median_s:.1f} s", f"{waits.p90_s:.1f} s", f"{waits.longest_s:.1f} s"]


def _waits(waits: Waits) -> str:
    return f"{waits.count} hit, median {waits.median_s} s, 9 in 10 {waits.p90_s} s, longest {waits.longest_s} s"


def _table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)
