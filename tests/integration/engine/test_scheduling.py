"""Who goes next: priority, fairness between owners and between jobs, paused queues, and what a claim costs."""

import threading
from collections import Counter

import pytest

from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Priority, RunStatus, Stage
from shared.store.runs import Claim, Finished
from tests.engine_crowd import crowd, explain_claim, hint_of, nodes
from tests.engine_lab import Lab

pytestmark = pytest.mark.integration

FEW_BLOCKS = 150  # index pages of five look-ups and three updated rows; 10,000 runs have 400 pages of heap alone


def claim(lab: Lab, least: Priority = Priority.INTERACTIVE) -> Claim | None:
    """Whatever is next among the downloads, asked for by a message about any of them."""
    with lab.database.begin() as connection:
        hint = hint_of(connection)
    return lab.runs.claim(hint, message_id="m", lease_s=60, least=least)


def claimed(lab: Lab, times: int, least: Priority = Priority.INTERACTIVE) -> list[Claim]:
    return [found for _ in range(times) if (found := claim(lab, least)) is not None]


def owner(lab: Lab, name: str) -> OwnerId:
    lab.owner = lab.tools.ledger.create_owner(name)
    return lab.owner


def test_the_interactive_job_goes_first(lab: Lab) -> None:
    """One job that somebody waits for overtakes five hundred that nobody does, whoever's they are."""
    with lab.database.begin() as connection:
        crowd(connection, 500, owners=1)
    normal = lab.job(priority=Priority.NORMAL).job
    urgent = lab.job().job
    assert [found.job.id for found in claimed(lab, 2)] == [urgent.id, normal.id]
    assert (urgent.priority, normal.priority) == (Priority.INTERACTIVE, Priority.NORMAL)


def test_nobody_waits_for_ever(lab: Lab) -> None:
    """A turn that is given to the lower priorities goes to them, and to the others when there are none."""
    urgent = [lab.job().job.id for _ in range(2)]
    bulk = lab.job(priority=Priority.BULK).job.id
    assert [found.job.id for found in claimed(lab, 3, Priority.NORMAL)] == [bulk, *urgent]


def test_owners_take_turns(lab: Lab) -> None:
    """Who comes with two jobs is served beside who came with forty, not after."""
    greedy, modest = owner(lab, "greedy"), owner(lab, "modest")
    lab.owner = greedy
    many = [lab.job().job.id for _ in range(40)]
    lab.owner = modest
    few = [lab.job().job.id for _ in range(2)]
    first = [found.job.id for found in claimed(lab, 5)]
    assert set(few) <= set(first)
    assert [job for job in first if job in many] == many[:3]


def test_shares_stay_even_while_both_keep_coming(lab: Lab) -> None:
    """One job at a time gets every second turn from who has a queue; using idle time before costs nothing later."""
    alone, crowded = owner(lab, "alone"), owner(lab, "crowded")
    lab.owner = crowded
    for _ in range(30):
        lab.job()
    assert len(claimed(lab, 10)) == 10
    served: Counter[OwnerId] = Counter()
    for _ in range(8):
        lab.owner = alone
        lab.job()
        served.update(found.job.owner_id for found in claimed(lab, 2))
    assert served == {alone: 8, crowded: 8}


def test_requests_that_arrive_together_stand_one_behind_the_other(lab: Lab) -> None:
    """Sending everything at the same moment buys nobody a better place."""
    threads = [threading.Thread(target=lab.job) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turn for (turn,) in lab.execute("SELECT turn FROM stage_runs")) == list(range(6))


def prepare(lab: Lab, shards: int, **script: object) -> JobId:
    """A job whose shards wait."""
    created = lab.job({"shards": shards, **script})
    for stage, runs in ((Stage.DOWNLOAD, created.runs), (Stage.PREPROCESS, None)):
        due = runs or [run for run in lab.queued() if run[0] is stage]
        lab.runner.run(due[0][1], lab.works[stage], "m")
    return created.job.id


def test_a_long_recording_lets_the_next_one_through(lab: Lab) -> None:
    """The shards of an owner's long job and of the short one after it take turns; another owner's come in between."""
    long, short = prepare(lab, 20), prepare(lab, 2)
    other_owner = owner(lab, "another")
    other = prepare(lab, 2, job=2)
    with lab.database.begin() as connection:
        hint = hint_of(connection, Stage.TRANSCRIBE)
    order = [lab.runs.claim(hint, message_id="m", lease_s=60) for _ in range(24)]
    jobs = [found.job.id for found in order if found is not None]
    assert Counter(jobs) == {long: 20, short: 2, other: 2}
    assert max(place for place, job in enumerate(jobs) if job == short) < 9
    assert max(place for place, found in enumerate(order) if found and found.job.owner_id == other_owner) < 5


def test_a_paused_queue_gives_nothing(lab: Lab) -> None:
    """Nobody takes from it and the steward rings nobody, until it is resumed; other queues go on."""
    running = lab.job()
    taken = claim(lab)
    waiting = lab.job()
    assert taken is not None
    ledger = lab.tools.ledger
    ledger.pause(Stage.DOWNLOAD, "ops", "the store is being moved")
    ledger.pause(Stage.DOWNLOAD, "another", "again")
    lab.execute("UPDATE stage_runs SET ring_at = now()")
    assert lab.runs.claim(waiting.runs[0][1], message_id="m", lease_s=60) is None
    assert lab.sweep.due(10) == {}
    state = ledger.states()[0]
    assert state.pause is not None
    assert (state.pause.by, state.pause.reason) == ("ops", "the store is being moved")
    assert (state.waiting, state.running, state.drained) == (1, 1, False)
    following = lab.runs.finish(taken, Finished("key", {}))
    assert ledger.states()[0].drained
    assert lab.runs.claim(following[0][1], message_id="m", lease_s=60) is not None
    assert ledger.resume(Stage.DOWNLOAD)
    assert not ledger.resume(Stage.DOWNLOAD)
    assert lab.sweep.due(10) == {Stage.DOWNLOAD: 1}
    found = claim(lab)
    assert found is not None
    assert (found.job.id, running.fresh) == (waiting.job.id, True)


def test_what_waits_for_another_attempt_is_in_nobodys_way(lab: Lab) -> None:
    """It leaves the queue until its time has come, and then draws nobody in front of those who waited meanwhile."""
    again = lab.job({"download": {"fail": "provider_unavailable", "retry_after_s": 60, "times": 1}}).job.id
    assert lab.work_off() == 1
    state = lab.tools.ledger.states()[0]
    assert (state.waiting, state.later) == (0, 1)
    with lab.database.begin() as connection:
        crowd(connection, 30, owners=1)
    lab.execute("UPDATE stage_runs SET turn = turn + 500, priority = 0 WHERE ready")
    assert lab.sweep.wake() == 0
    lab.execute("UPDATE stage_runs SET not_before = now() WHERE NOT ready")
    assert lab.sweep.wake() == 1
    assert lab.execute(f"SELECT turn FROM stage_runs WHERE job_id = '{again}'") == [(501,)]


@pytest.mark.parametrize("analysed", [False, True])
def test_a_claim_touches_a_few_pages_of_ten_thousand(lab: Lab, analysed: bool) -> None:
    """The plan reads the first entries of the indexes and no more, with the planner's statistics and without."""
    with lab.database.begin() as connection:
        crowd(connection, 10_000, owners=20)
    if analysed:
        lab.execute("ANALYZE")
    lab.job(priority=Priority.BULK)
    claimed(lab, 3)
    with lab.database.begin() as connection:
        plan = explain_claim(connection, hint_of(connection))["Plan"]
        connection.rollback()
    steps = nodes(plan)
    assert {step["Relation Name"] for step in steps if step["Node Type"] == "Seq Scan"}.isdisjoint(
        {"stage_runs", "jobs"}
    )
    assert {"stage_runs_turn_idx", "stage_runs_owner_turn_idx"} <= {step.get("Index Name") for step in steps}
    assert max(step["Actual Rows"] * step["Actual Loops"] for step in steps) <= 4
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < FEW_BLOCKS
    assert lab.execute("SELECT count(*) FROM stage_runs WHERE status = 'running'") == [(3,)]
    assert (
        lab.tools.ledger.states()[0].running
        == lab.execute(f"SELECT count(*) FROM stage_runs WHERE status = '{RunStatus.RUNNING}'")[0][0]
    )
