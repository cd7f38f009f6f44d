"""Keys: who may do what, for how long and how often; and what the log holds of them."""

import hashlib
import json

import pytest

from foldline.app.foldline import wall_clock
from foldline.errors import InputError, RequestError
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch
from foldline.serving.guard import Guard
from foldline.serving.keys import KEYS, Keyring, Role
from foldline.serving.routes import ROUTES, Route
from foldline.serving.server import check_open, is_loopback, listen
from foldline.serving.settings import ServiceSettings
from tests.serving.experiments import CTR, SETTINGS
from tests.serving.running import Running

ROLES: tuple[Role, ...] = ("decide", "reward", "admin")
NOW = 1_700_000_000_000

BODIES = {
    "decide": {"unit": "u"},
    "reward": {"unit": "u", "value": 1},
    "activate": {"unit": "u", "decision": "d"},
    "outcome": {"unit": "u", "action": "a", "propensity": 1, "reward": 1},
    "events": {"outbox": "box", "first": 0, "events": []},
    "put_loop": {},
    "predict": {"unit": "u", "x": {"a": 1}},
    "label": {"example": "e", "unit": "u", "y": True},
    "observe": {"unit": "u", "name": "revenue", "value": 1},
    "put_experiment": SETTINGS,
    "validate_experiment": SETTINGS,
    "ramp_experiment": {"coverage": 1},
    "reweight_experiment": {"weights": [1, 1]},
    "make_token": {},
    "promote": {"variant": "challenger"},
    "evaluate_flag": {"context": {"targetingKey": "u"}},
    "evaluate_flags": {"context": {"targetingKey": "u"}},
    "seldon_predict": {"jsonData": {"unit": "u"}},
    "seldon_feedback": {"response": {"meta": {"puid": "0.0.d"}}, "reward": 1},
}


def test_every_route_asks_for_its_role(served: Running) -> None:
    """The table of routes, every role, no key, a wrong one, a revoked one and one that has expired."""
    models = [{"kind": "model", "name": "m", "model": "LogisticRegression"}]
    served.client.put("/v1/loops/news", json={"folds": models})
    served.client.put(CTR, json=SETTINGS)
    tokens = {role: served.key(role)[1] for role in ROLES}
    sent = {"authorization": f"Bearer {tokens['admin']}"}
    token = served.client.post(f"{CTR}/tokens", json={}, headers=sent).json()["id"]
    revoked, revoked_token = served.key("admin")
    Keyring(served.log).revoke(revoked.id, now=wall_clock())
    _, expired_token = served.key("admin", expires=wall_clock() - 1)
    served.service.keyring.read()
    metrics = Route("GET", "/metrics", ROUTES[0].handler, None, "metrics", "")
    for route in (*[r for r in ROUTES if not r.public], metrics):
        for role, shown in tokens.items():
            status, code = _ask(served, route, f"Bearer {shown}", token)
            allowed = route.role is None or role in (route.role, "admin")
            assert (status < 300, code) == (allowed, None if allowed else "http.forbidden"), (route, role)
            assert allowed or status == 403
        none_of_ours = (
            None,
            "",
            "Bearer",
            "Basic dTpw",
            f"Bearer {tokens['admin']}x",
            f"Bearer x{tokens['admin']}",
            f"Bearer {tokens['admin'].replace('fl_', 'gl_')}",
            "Bearer fl__",
            "Bearer fl_" + "é" * 40,
            f"Bearer {revoked_token}",
            f"Bearer {expired_token}",
        )
        for authorization in none_of_ours:
            status, code = _ask(served, route, authorization)
            assert (status, code) == (401, "http.unauthorized"), (route, authorization)


def _ask(served: Running, route: Route, authorization: str | None, token: str = "") -> tuple[int, str | None]:
    body = BODIES.get(route.name)
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    answered = served.client.request(
        route.method,
        route.path.replace("{loop}", "news").replace("{experiment}", "ctr").replace("{flag}", "news"),
        params={"loop": "news", "id": token},
        content=json.dumps(body) if body is not None else None,
        headers=headers,
    )
    if answered.status_code == 401:
        assert answered.headers["www-authenticate"] == "Bearer"
    return answered.status_code, answered.json()["error"]["code"] if answered.status_code >= 400 else None


def test_public_routes_want_no_key(served: Running) -> None:
    """Health, readiness and the document are answered to anybody."""
    served.key("admin")
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert served.client.get(path).status_code == 200


def test_the_scheme_is_read_in_any_case(served: Running) -> None:
    """`bearer` and spaces around the token do no harm."""
    _, token = served.key("admin")
    for authorization in (f"bearer {token}", f"BEARER  {token}"):
        assert served.client.get("/v1/loops", headers={"Authorization": authorization}).status_code == 200


def test_the_first_key_closes_the_service_and_revoking_the_last_keeps_it_closed(served: Running) -> None:
    """A service open on loopback asks for keys from then on."""
    assert served.client.get("/v1/loops").status_code == 200
    key, token = served.key("admin")
    assert served.client.get("/v1/loops").status_code == 401
    Keyring(served.log).revoke(key.id, now=wall_clock())
    served.service.keyring.read()
    assert served.client.get("/v1/loops").status_code == 401
    assert served.client.get("/v1/loops", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_key_made_elsewhere_is_noticed(served: Running) -> None:
    """The service follows the keys by itself."""
    Keyring(served.log).add("later", ("admin",), now=wall_clock())
    while served.client.get("/v1/loops").status_code == 200:
        served.log.wait({(KEYS, 0): served.log.offsets(KEYS, 0)[1]}, 0.05)
    assert served.service.keyring.closed


def test_a_log_that_fails_once_does_not_end_the_following(
    served: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged key is told of in the service's log, and keys made after it still count."""
    ring = served.service.keyring
    now = wall_clock()
    served.log.append([Batch(KEYS, 0, b'{"id":"nonsense"}', 1, now, now, b"nonsense")])
    while not any("reading the keys" in record.message for record in caplog.records):
        served.log.wait({(KEYS, 0): 1 << 40}, 0.05)
    assert not ring.closed
    served.log.append([Batch(KEYS, 0, b"", 1, now, now, b"nonsense")])
    tasks = served.service._tasks
    assert tasks
    assert not any(task.done() for task in tasks)


def test_a_key_above_its_rate_waits(served: Running) -> None:
    """429 with Retry-After; another key goes on."""
    _, limited = served.key("admin", rate=0.01)
    _, free = served.key("admin")
    ask = served.client.get
    assert ask("/v1/loops", headers={"Authorization": f"Bearer {limited}"}).status_code == 200
    refused = ask("/v1/loops", headers={"Authorization": f"Bearer {limited}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "http.rate")
    assert 1 <= int(refused.headers["retry-after"]) <= 100
    assert ask("/v1/loops", headers={"Authorization": f"Bearer {free}"}).status_code == 200


def test_a_bucket_holds_one_second_and_survives_clocks_set_back() -> None:
    """Bursts of the rate, then as many a second; no time passes while the clock goes backwards."""
    keyring = Keyring(MemoryLog())
    _, token = keyring.add("limited", ("decide",), now=NOW, rate=5)
    guard = Guard(keyring)

    def admitted(now: int) -> int:
        count = 0
        with pytest.raises(RequestError) as caught:  # noqa: PT012 - as often as it may
            while True:
                guard.admit(f"Bearer {token}", "decide", now=now)
                count += 1
        assert (caught.value.code, caught.value.retry_after_s) == ("http.rate", 1)
        return count

    assert admitted(NOW) == 5
    assert admitted(NOW + 400) == 2
    assert admitted(NOW + 60_000) == 5
    assert admitted(NOW - 3_600_000) == 0
    assert admitted(NOW - 3_600_000 + 1_000) == 5


def test_only_a_hash_is_on_the_log() -> None:
    """Neither the token nor its secret; the hash is SHA-256 of the secret."""
    log = MemoryLog()
    key, token = Keyring(log).add("shop", ("decide", "reward"), now=NOW)
    secret = token.split("_", 2)[2]
    stored = b"".join(row.payload for row in log.read(KEYS, 0, 0))
    assert secret.encode() not in stored
    assert key.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert key.hash.encode() in stored
    assert len(secret) >= 43


def test_a_keyring_finds_what_holds() -> None:
    """Until it expires or is revoked, in this process and in one that reads later."""
    log = MemoryLog()
    ring = Keyring(log)
    key, token = ring.add("shop", ("decide",), now=NOW, expires=NOW + 10)
    later = Keyring(log)
    later.read()
    assert later.find(token) == key
    assert (key.is_over(NOW + 9), key.is_over(NOW + 10)) == (False, True)
    forever, other = ring.add("ops", ("admin",), now=NOW + 1)
    assert [each.name for each in ring.all()] == ["shop", "ops"]
    assert ring.find(other) == forever
    assert not forever.is_over(NOW + 10**12)
    ring.revoke(forever.id, now=NOW)
    found = ring.find(other)
    assert found is not None
    assert found.is_over(NOW)
    assert ring.find(other + "x") is None


def test_keys_that_make_no_sense_are_refused() -> None:
    """No roles; an id nobody has."""
    ring = Keyring(MemoryLog())
    with pytest.raises(InputError, match="at least one role"):
        ring.add("none", (), now=NOW)
    with pytest.raises(InputError, match="no key has the id"):
        ring.revoke("nonsense", now=NOW)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_needs_no_key(host: str) -> None:
    """It reaches this machine only."""
    assert is_loopback(host)
    check_open(host, closed=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 - refused, which is what is tested
def test_anything_else_needs_one(host: str) -> None:
    """Refused without any key on the log, taken with one."""
    with pytest.raises(RequestError) as caught:
        check_open(host, closed=False)
    assert (caught.value.code, caught.value.field) == ("http.not_open", "host")
    check_open(host, closed=True)


def test_an_address_that_cannot_be_had_is_named() -> None:
    """Taken by another, or of no machine of ours."""
    with listen(ServiceSettings(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"127.0.0.1:{port}") as caught:
            listen(ServiceSettings(port=port))
    assert caught.value.code == "http.address"
    with pytest.raises(RequestError) as caught:
        listen(ServiceSettings(host="192.0.2.1", port=0))
    assert caught.value.code == "http.address"
    with pytest.raises(RequestError) as caught:
        listen(ServiceSettings(host="a..b", port=0))
    assert caught.value.code == "http.address"
