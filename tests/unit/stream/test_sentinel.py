"""What a URL of sentinels says."""

import pytest

from bq_server.runtime.streams_used import place_of
from bq_server.stream.connection import StreamUnusable, connect
from bq_server.stream.sentinel import SentinelUrl, is_of_sentinels


def test_a_url_with_everything() -> None:
    url = SentinelUrl.parse(
        "rediss+sentinel://bq:p%40ss@a.internal,b.internal:7000,[::1]:7001/queue/3"
        "?sentinel_username=s&sentinel_password=q&ssl_ca_certs=/ca.pem"
    )
    assert url.hosts == (("a.internal", 26379), ("b.internal", 7000), ("::1", 7001))
    assert (url.name, url.database, url.tls) == ("queue", 3, True)
    assert url.login == {"username": "bq", "password": "p@ss", "ssl_ca_certs": "/ca.pem"}
    assert url.sentinels_login == {"username": "s", "password": "q", "ssl_ca_certs": "/ca.pem"}
    assert "p@ss" not in repr(url)


def test_a_url_with_what_it_must_have() -> None:
    url = SentinelUrl.parse("redis+sentinel://a/queue")
    assert (url.hosts, url.name, url.database, url.tls) == ((("a", 26379),), "queue", 0, False)
    assert (url.login, url.sentinels_login) == ({}, {})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://a/queue", "sentinel is not known"),
        ("redis+sentinel://a", "must name the primary"),
        ("redis+sentinel://a/queue/x", "must name the primary"),
        ("redis+sentinel:///queue", "host is missing"),
        ("redis+sentinel://a,/queue", "host is missing"),
        ("redis+sentinel://a:x/queue", "Port could not be cast"),
        ("redis+sentinel://a/queue?password=p", "password is not known"),
        ("redis+sentinel://a/queue?ssl_ca_certs=/ca.pem", "is for TLS"),
    ],
)
def test_a_url_that_is_none(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SentinelUrl.parse(url)


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["redis://a/0?ssl_ca_certs=/ca.pem", "redis://a/0?certificates=/ca.pem"])
async def test_a_query_that_no_connection_knows_is_told_at_once(url: str) -> None:
    with pytest.raises(StreamUnusable, match="BQ_REDIS_URL"):
        async with connect(url):
            pass


def test_only_such_urls_name_sentinels() -> None:
    assert is_of_sentinels("rediss+sentinel://a/queue")
    assert not is_of_sentinels("redis://a/0")


def test_one_more_sentinel_is_no_other_stream() -> None:
    first = place_of("redis+sentinel://bq:p@a,b/queue", "bq")
    assert first == place_of("redis+sentinel://bq:q@a,b,c/queue", "bq") == "redis+sentinel:///queue, prefix bq"
    assert first != place_of("redis+sentinel://bq:p@a,b/other", "bq")
