"""URLs and options of a Redis server: what is taken, what is refused, and that no password gets out."""

from __future__ import annotations

import pytest

from kato_fast.redis_client import Address, Options, open_client, parse_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address(host="localhost")),
        ("redis://10.0.0.1:7000/3", Address(host="10.0.0.1", port=7000, db=3)),
        ("redis://[::1]:7000", Address(host="::1", port=7000)),
        ("redis://:p%40ss@h/1", Address(host="h", password="p@ss", db=1)),
        ("redis://user:pw@h?db=2", Address(host="h", username="user", password="pw", db=2)),
        ("rediss://h", Address(host="h", tls=True)),
        ("unix:///run/redis.sock?db=4", Address(unix_path="/run/redis.sock", db=4)),
    ],
)
def test_urls(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://h", "must begin with redis://"),
        ("redis://h:99999", "a port between"),
        ("redis://h:0x10", "a port between"),
        ("redis://h/one", "number of a database"),
        ("redis://h/-1", "number of a database"),
        ("redis://h/99999999999", "number of a database"),
        ("redis://h?timeout=3", "not known here: 'timeout'"),
        ("unix://", "path of the socket"),
        ("redis://a:secret%00@h", "password must be a str without NUL"),
    ],
)
def test_bad_urls(url: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_no_password_in_text() -> None:
    address = parse_url("redis://user:secret@h:1/2")
    assert str(address) == "redis://h:1/2"
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"pool_size": 0}, ValueError, "pool_size must be between 1 and 10000, not 0"),
        ({"pool_size": True}, TypeError, "pool_size must be an int, not bool"),
        ({"command_timeout": 0}, ValueError, "command_timeout must be over 0"),
        ({"connect_timeout": float("nan")}, ValueError, "connect_timeout must be over 0"),
        ({"wait_timeout": "1"}, TypeError, "wait_timeout must be a number of seconds, not str"),
        ({"max_reply_bytes": 1 << 40}, ValueError, "max_reply_bytes must be between"),
    ],
)
def test_bad_options(options: dict, error: type, rule: str) -> None:
    with pytest.raises(error, match=rule):
        Options(**options)


def test_open_client_wants_one_address() -> None:
    with pytest.raises(TypeError, match="either url or address"):
        open_client()
    with pytest.raises(ValueError, match="implementation must be one of c, python"):
        open_client("redis://h", implementation="go")
