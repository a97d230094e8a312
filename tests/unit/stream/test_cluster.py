"""What a URL of a cluster says, and who is asked where the primary is."""

import pytest
from redis.crc import key_slot

from bq_server.runtime.streams_used import place_of
from bq_server.stream.cluster import ClusterUrl, is_of_cluster, keys_at
from bq_server.stream.connection import connect
from bq_server.stream.keys import StreamKeys


def test_a_url_with_everything() -> None:
    url = ClusterUrl.parse("rediss+cluster://bq:p%40ss@a.internal,[::1]:7001/the%20queue?ssl_ca_certs=/ca.pem")
    assert url.hosts == (("a.internal", 6379), ("::1", 7001))
    assert (url.name, url.tls) == ("the queue", True)
    assert url.login == {"username": "bq", "password": "p@ss", "ssl_ca_certs": "/ca.pem"}
    assert "p@ss" not in repr(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("cluster://a/queue", "cluster is not known"),
        ("redis+cluster://a", "must give the queue a name"),
        ("redis+cluster://a/queue/0", "must give the queue a name"),
        ("redis+cluster://a/%7Bqueue%7D", "without braces"),
        ("redis+cluster:///queue", "host is missing"),
        ("redis+cluster://a/queue?sentinel_password=p", "sentinel_password is not known"),
        ("redis+cluster://a/queue?ssl_ca_certs=/ca.pem", "is for TLS: rediss\\+cluster"),
    ],
)
def test_a_url_that_is_none(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ClusterUrl.parse(url)


def test_only_such_urls_name_a_cluster() -> None:
    assert is_of_cluster("rediss+cluster://a/queue")
    assert not is_of_cluster("redis+sentinel://a/queue")


def test_all_keys_are_in_one_slot_whatever_is_in_braces_after_it() -> None:
    keys = keys_at("redis+cluster://a/queue", "b{q}")
    names = [keys.events, keys.dead, keys.counts, keys.owner, keys.probe, keys.charge]
    names += [keys.claim("default", "test", "{other}k"), keys.claim("default", "test", "}{", 3)]
    assert keys.events == "{queue}:b{q}:events"
    assert {key_slot(name.encode()) for name in names} == {key_slot(b"queue")}


@pytest.mark.parametrize("url", [None, "redis://a/0", "redis+sentinel://a/queue"])
def test_outside_a_cluster_keys_have_the_names_that_they_had(url: str | None) -> None:
    assert keys_at(url, "bq") == StreamKeys("bq")


def test_one_more_node_is_no_other_stream() -> None:
    first = place_of("redis+cluster://bq:p@a,b/queue", "bq")
    assert first == place_of("redis+cluster://bq:q@a,b,c/queue", "bq") == "redis+cluster:///queue, prefix bq"
    assert first != place_of("redis+cluster://bq:p@a,b/other", "bq")


@pytest.mark.anyio
async def test_as_many_connections_as_elsewhere_and_none_is_opened_before_it_is_needed() -> None:
    async with connect("redis+cluster://127.0.0.1:1/queue") as client:
        assert client.connection_pool.max_connections == 16
