"""Webhooks from the job's end to the receiver: nothing lost, nothing invented, nobody held up."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from shared.adapters.webhook_sender import WebhookSender
from shared.domain.webhooks import MOST_ENDPOINTS, WAITS_S, Answer, DeliveryStatus, WebhookEvent
from shared.store.webhook_queue import AT_ONCE, WebhookQueue
from tests.engine_lab import Lab, wait_for
from tests.webhook_receiver import Receiver, receiving
from workers.webhooks import Postman

pytestmark = pytest.mark.integration


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def queue(lab: Lab) -> WebhookQueue:
    return WebhookQueue(lab.database)


@pytest.fixture
def postman(lab: Lab, queue: WebhookQueue) -> Postman:
    return Postman(queue, WebhookSender(lab.tools.settings))


def carry(postman: Postman) -> int:
    begun = postman.round()
    postman.wait()
    return begun


def due_now(lab: Lab) -> None:
    lab.execute("UPDATE webhook_deliveries SET due_at = now() WHERE status = 'pending'")


def test_a_finished_job_is_told_signed(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """From POST /v1/webhooks to a receiver that verifies by the published library, and the log of it."""
    made = client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.completed"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    job_id = lab.job({"shards": 1}).job.id
    lab.work_off()
    assert carry(postman) == 1
    [got] = receiver.got
    told = Webhook(secret).verify(got.body, got.headers)
    assert (told["type"], told["data"]["job"]["id"]) == ("job.completed", job_id)
    assert told["data"]["job"]["status"] == "completed"
    [line] = client.get("/v1/webhooks/deliveries").json()["deliveries"]
    assert (line["id"], line["status"], line["attempt"]) == (got.headers["webhook-id"], "delivered", 1)
    assert [tried["status"] for tried in line["tries"]] == [204]
    assert client.get(f"/v1/webhooks/deliveries/{line['id']}").json()["body"] == got.body
    assert secret not in client.get("/v1/webhooks").text
    assert carry(postman) == 0


def test_each_end_has_its_event(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """Failed and cancelled are told as such; an endpoint hears of what it asked for alone."""
    for events in (["job.failed"], ["job.cancelled"], []):
        made = client.post("/v1/webhooks", json={"url": f"{receiver.url}/{len(events)}", "events": events})
        assert made.status_code == 201
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    lab.job({"download": {"fail": "not_audio"}})
    lab.work_off()
    while carry(postman):
        pass
    told = sorted((got.path, json.loads(got.body)["type"]) for got in receiver.got)
    assert told == [
        ("/hook/0", "job.cancelled"),
        ("/hook/0", "job.failed"),
        ("/hook/1", "job.cancelled"),
        ("/hook/1", "job.failed"),
    ]
    [failed, _] = [json.loads(got.body) for got in receiver.got if "job.failed" in got.body]
    assert failed["data"]["job"]["error"]["code"] == "not_audio"


def test_what_is_not_committed_is_not_told(lab: Lab, client: httpx.Client, receiver: Receiver) -> None:
    """The delivery is written in the transaction that ends the job: without the one there is no other."""
    client.post("/v1/webhooks", json={"url": receiver.url})
    job_id = lab.job().job.id
    lab.execute("ALTER TABLE webhook_deliveries ADD CONSTRAINT none CHECK (false)")
    with pytest.raises(Exception, match="none"):
        lab.tools.ledger.cancel(lab.owner, job_id)
    assert lab.get(job_id).status == "queued"


def test_a_job_names_its_own_address(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """Signed by the owner's signing secret, which during a rotation is two."""
    first = client.post("/v1/webhooks/signing-secret").json()["secret"]
    second = client.post("/v1/webhooks/signing-secret", json={"overlap_s": 60}).json()["secret"]
    source = {"url": "https://example.com/meeting.m4a"}
    job = client.post("/v1/jobs", json={"source": source, "webhook": f"{receiver.url}?mine=1"})
    assert job.status_code == 202
    client.post(f"/v1/jobs/{job.json()['id']}/cancel")
    carry(postman)
    [got] = receiver.got
    assert got.path == "/hook?mine=1"
    for secret in (first, second):
        Webhook(secret).verify(got.body, got.headers)
    assert client.get("/v1/webhooks").json()["webhooks"] == []


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "https://user:pass@example.com/", "x"])
def test_addresses_that_are_refused_at_once(client: httpx.Client, url: str) -> None:
    """Plain http, private ranges, credentials and what is no address: for an endpoint, a job, and a form."""
    source = {"url": "https://example.com/meeting.m4a"}
    answers = [
        client.post("/v1/webhooks", json={"url": url}),
        client.post("/v1/jobs", json={"source": source, "webhook": url}),
        client.post("/v1/jobs/file", data={"webhook": url}, files={"file": ("a.wav", b"x")}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "webhook_refused")] * 3


def test_a_failing_receiver_is_tried_for_a_day(
    lab: Lab, client: httpx.Client, queue: WebhookQueue, receiver: Receiver
) -> None:
    """The same id at every try, longer and longer waits, an end after a day, and a pause when nothing arrives."""
    webhook = client.post("/v1/webhooks", json={"url": receiver.url}).json()
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    ids, waits_s = set(), []
    for _ in WAITS_S:
        ids.add(try_in_vain(lab, queue))
        waits_s += lab.execute("SELECT extract(epoch FROM due_at - now())::float FROM webhook_deliveries")[0]
    lab.execute("UPDATE webhook_endpoints SET failing_since = now() - interval '13 hours'")
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    lab.execute("UPDATE webhook_deliveries SET due_at = now() + interval '1 hour' WHERE attempt = 0")
    ids.add(try_in_vain(lab, queue))
    assert len(ids) == 1
    assert all(0.85 * planned < waited < 1.15 * planned for waited, planned in zip(waits_s, WAITS_S, strict=True))
    assert 86_400 * 0.9 < sum(WAITS_S) < 86_400
    shown = client.get(f"/v1/webhooks/{webhook['id']}").json()
    assert shown["paused_at"] is not None
    assert "given up" in shown["pause_reason"]
    lines = {line["status"]: line for line in client.get("/v1/webhooks/deliveries").json()["deliveries"]}
    assert set(lines) == {"failed", "held"}
    assert len(lines["failed"]["tries"]) == len(WAITS_S) + 1


def try_in_vain(lab: Lab, queue: WebhookQueue) -> str:
    """The delivery that has been tried before, or the only one; returns its id."""
    lab.execute("UPDATE webhook_deliveries SET due_at = now() WHERE attempt > 0")
    [letter] = queue.take(10)
    queue.settle(letter, Answer(500, "receiver_failed", 3))
    return letter.id


def test_resuming_sends_what_was_held(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """While paused nothing is sent and nothing is lost; a redelivery or a test says that it is paused."""
    webhook = client.post("/v1/webhooks", json={"url": receiver.url}).json()
    place = f"/v1/webhooks/{webhook['id']}"
    assert client.post(f"{place}/pause").json()["pause_reason"] == "Paused by its owner"
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    assert carry(postman) == 0
    [held] = client.get("/v1/webhooks/deliveries", params={"status": "held"}).json()["deliveries"]
    for call in (f"/v1/webhooks/deliveries/{held['id']}/redeliver", f"{place}/test"):
        refused = client.post(call)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_paused")
    assert client.post(f"{place}/resume").json()["paused_at"] is None
    assert carry(postman) == 1
    assert receiver.got[0].headers["webhook-id"] == held["id"]


def test_410_ends_it_at_once(lab: Lab, client: httpx.Client, queue: WebhookQueue, receiver: Receiver) -> None:
    """The receiver asked never to be called again: given up, and paused."""
    client.post("/v1/webhooks", json={"url": receiver.url})
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    [letter] = queue.take(10)
    assert queue.settle(letter, Answer(410, "refused_by_receiver", 3)) is DeliveryStatus.FAILED
    [shown] = client.get("/v1/webhooks").json()["webhooks"]
    assert "410" in shown["pause_reason"]


def test_redelivery_by_hand(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """The same id and the same bytes again; what is under way is not doubled."""
    client.post("/v1/webhooks", json={"url": receiver.url})
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    carry(postman)
    [line] = client.get("/v1/webhooks/deliveries").json()["deliveries"]
    again = client.post(f"/v1/webhooks/deliveries/{line['id']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    assert carry(postman) == 1
    first, second = receiver.got
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    client.post(f"/v1/webhooks/deliveries/{line['id']}/redeliver")
    lab.execute("UPDATE webhook_deliveries SET token = gen_random_uuid()")
    assert client.post(f"/v1/webhooks/deliveries/{line['id']}/redeliver").status_code == 409


def test_a_dead_senders_delivery_is_made_by_another(lab: Lab, client: httpx.Client, queue: WebhookQueue) -> None:
    """Due again when its hold runs out, under the same id; the dead one's late word changes nothing."""
    client.post("/v1/webhooks", json={"url": "https://example.com/"})
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    [dead] = queue.take(10)
    assert queue.take(10) == []
    lab.execute("UPDATE webhook_deliveries SET due_at = now()")
    [alive] = queue.take(10)
    assert (alive.id, alive.attempt) == (dead.id, 2)
    assert queue.settle(dead, Answer(200, None, 1)) is None
    assert queue.settle(alive, Answer(200, None, 1)) is DeliveryStatus.DELIVERED


def test_two_senders_take_each_delivery_once(lab: Lab, client: httpx.Client, queue: WebhookQueue) -> None:
    """However many ask at once."""
    for number in range(10):
        client.post("/v1/webhooks", json={"url": f"https://example.com/{number}"})
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    taken: list[str] = []
    senders = [threading.Thread(target=lambda: taken.extend(letter.id for letter in queue.take(10))) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(taken) == len(set(taken)) == 10


def test_a_hanging_receiver_holds_up_nobody_else(
    lab: Lab, client: httpx.Client, receiver: Receiver, queue: WebhookQueue
) -> None:
    """It has two deliveries under way at most; others go on meanwhile."""
    with receiving(lambda asked: asked.server.ending.wait(30)) as hanging:
        for url in (hanging.url, receiver.url):
            client.post("/v1/webhooks", json={"url": url})
        for _ in range(6):
            lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
        postman, stop = Postman(queue, WebhookSender(lab.tools.settings)), threading.Event()
        postman.start(stop)
        wait_for("six deliveries beside a receiver that hangs", lambda: len(receiver.got) == 6)
        assert len(hanging.got) <= AT_ONCE
        stop.set()


def test_rotation_of_an_endpoint(lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """Signed by both while the overlap lasts, by the new one alone after it."""
    made = client.post("/v1/webhooks", json={"url": receiver.url}).json()
    rotated = client.post(f"/v1/webhooks/{made['id']}/rotate", json={"overlap_s": 3600}).json()
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    carry(postman)
    lab.execute("UPDATE webhook_endpoints SET previous_until = now()")
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    carry(postman)
    during, after = (got.headers["webhook-signature"].split() for got in receiver.got)
    assert (len(during), len(after)) == (2, 1)
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)
    Webhook(rotated["secret"]).verify(receiver.got[1].body, receiver.got[1].headers)


def test_changing_and_deleting_an_endpoint(
    lab: Lab, client: httpx.Client, receiver: Receiver, postman: Postman
) -> None:
    """What waits goes to the new address; a deleted one hears nothing, and its log is gone."""
    made = client.post("/v1/webhooks", json={"url": "https://example.com/old"}).json()
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    changed = client.patch(f"/v1/webhooks/{made['id']}", json={"url": receiver.url, "description": "new"})
    assert (changed.json()["description"], changed.json()["url"]) == ("new", receiver.url)
    carry(postman)
    assert len(receiver.got) == 1
    assert client.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    assert client.get(f"/v1/webhooks/{made['id']}").status_code == 404
    assert client.get("/v1/webhooks/deliveries").json()["deliveries"] == []


def test_a_trial(client: httpx.Client, receiver: Receiver, postman: Postman) -> None:
    """A delivery by hand, whatever events the endpoint asked for."""
    made = client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.failed"]}).json()
    assert client.post(f"/v1/webhooks/{made['id']}/test").status_code == 202
    carry(postman)
    assert json.loads(receiver.got[0].body)["type"] == WebhookEvent.TEST


def test_a_stranger_has_no_hand_in_it(lab: Lab, client: httpx.Client) -> None:
    """Neither endpoint nor log nor redelivery of another's: 404."""
    made = client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()
    delivery = client.post(f"/v1/webhooks/{made['id']}/test").json()
    key = lab.tools.ledger.create_api_key(lab.tools.ledger.create_owner("stranger"), "test")
    client.headers["Authorization"] = f"Bearer {key}"
    place = f"/v1/webhooks/{made['id']}"
    calls = [
        ("GET", place),
        ("DELETE", place),
        *(("POST", f"{place}/{verb}") for verb in ("rotate", "pause", "resume", "test")),
    ]
    calls += [("GET", f"/v1/webhooks/deliveries/{delivery['id']}")]
    calls += [("POST", f"/v1/webhooks/deliveries/{delivery['id']}/redeliver")]
    assert [client.request(method, path).status_code for method, path in calls] == [404] * len(calls)
    assert client.patch(place, json={"description": "mine"}).status_code == 404
    assert client.get("/v1/webhooks/deliveries").json() == {"deliveries": [], "next_before": None}


def test_the_log_in_pages(lab: Lab, client: httpx.Client) -> None:
    """Newest first, each once."""
    client.post("/v1/webhooks", json={"url": "https://example.com/"})
    for _ in range(5):
        lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    seen: list[str] = []
    before: str | None = None
    while True:
        page = client.get(
            "/v1/webhooks/deliveries", params={"limit": 2, **({"before": before} if before else {})}
        ).json()
        seen += [line["id"] for line in page["deliveries"]]
        before = page["next_before"]
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 5


def test_there_is_a_most(client: httpx.Client) -> None:
    """Each end of a job writes a row for each endpoint."""
    made = [client.post("/v1/webhooks", json={"url": f"https://example.com/{n}"}) for n in range(MOST_ENDPOINTS + 1)]
    assert [answer.status_code for answer in made] == [201] * MOST_ENDPOINTS + [409]
    assert made[-1].json()["code"] == "too_many_webhooks"


def test_a_success_ends_the_failing(lab: Lab, client: httpx.Client, queue: WebhookQueue) -> None:
    """`failing_since` is since the last success."""
    client.post("/v1/webhooks", json={"url": "https://example.com/"})
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    for answer, failing in ((Answer(500, "receiver_failed", 1), True), (Answer(200, None, 1), False)):
        due_now(lab)
        [letter] = queue.take(10)
        queue.settle(letter, answer)
        assert (client.get("/v1/webhooks").json()["webhooks"][0]["failing_since"] is not None) is failing


def test_a_receiver_that_fails_once_is_reached_then(
    lab: Lab, client: httpx.Client, queue: WebhookQueue, postman: Postman
) -> None:
    """500, then 204: delivered at the second try, both in the log."""
    codes = iter([500, 204])
    with receiving(lambda asked: asked.answer(next(codes))) as flaky:
        client.post("/v1/webhooks", json={"url": flaky.url})
        lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
        carry(postman)
        due_now(lab)
        carry(postman)
    [line] = client.get("/v1/webhooks/deliveries").json()["deliveries"]
    assert ([tried["status"] for tried in line["tries"]], line["status"]) == ([500, 204], "delivered")
