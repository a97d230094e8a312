-- Numbers of facts for transactions beside each other: each reserves its own, which are never given again.
CREATE SEQUENCE reserved_seqs;

CREATE FUNCTION given_seq() RETURNS BIGINT LANGUAGE sql AS $$
    SELECT greatest(
        (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM reserved_seqs),
        (SELECT max(seq) FROM facts),
        (SELECT seq FROM last_given WHERE name = 'facts')
    )
$$;

-- Returns the number before the first. Until the transaction ends, a lock tells others of it.
CREATE FUNCTION reserve_seqs(wanted BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    given BIGINT;
BEGIN
    PERFORM pg_advisory_lock(25206, hashtext(current_schema()));
    -- Those alone number their facts after the highest that is there; no other transaction goes on beside them.
    given := given_seq();
    PERFORM pg_advisory_xact_lock_shared((hashtext(current_schema())::BIGINT << 32) | (given & 4294967295));
    PERFORM setval('reserved_seqs', given + wanted);
    PERFORM pg_advisory_unlock(25206, hashtext(current_schema()));
    RETURN given;
END
$$;

-- Up to which number nothing is under way any more: a statement after this one sees all facts that will ever be there.
-- The order is what matters: what is reserved after the first step has a higher number.
CREATE FUNCTION settled_seq() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    given BIGINT;
    unsettled BIGINT;
BEGIN
    given := given_seq();
    SELECT min(given - ((given - objid::BIGINT) & 4294967295)) INTO unsettled
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::BIGINT = (hashtext(current_schema())::BIGINT & 4294967295);
    RETURN coalesce(unsettled, given);
END
$$;
