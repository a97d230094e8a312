-- Numbers of facts for transactions beside each other: each reserves its own, which are never given again.
CREATE SEQUENCE reserved_seqs;

-- The number of the newest fact there is, or was.
CREATE FUNCTION newest_seq() RETURNS BIGINT LANGUAGE sql AS $$
    SELECT greatest((SELECT max(seq) FROM facts), (SELECT seq FROM last_given WHERE name = 'facts'))
$$;

-- How many transactions beside each other have made facts. With it what is committed only grows: the newest fact alone
-- doesn't tell whether one with a lower number was committed after it.
INSERT INTO last_given (name, seq) VALUES ('commits', 0);

CREATE FUNCTION height() RETURNS BIGINT LANGUAGE sql AS $$
    SELECT newest_seq() + (SELECT seq FROM last_given WHERE name = 'commits')
$$;

-- Returns the number before the first. Until the transaction ends, a lock tells others of it.
CREATE FUNCTION reserve_seqs(wanted BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    given BIGINT;
BEGIN
    PERFORM pg_advisory_lock(25206, hashtext(current_schema()));
    BEGIN
        -- Those alone number their facts after the newest; no other transaction goes on beside them.
        given := greatest(
            (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM reserved_seqs), newest_seq()
        );
        PERFORM pg_advisory_xact_lock_shared((hashtext(current_schema())::BIGINT << 32) | (given & 4294967295));
        PERFORM setval('reserved_seqs', given + wanted);
    EXCEPTION WHEN OTHERS OR query_canceled THEN
        PERFORM pg_advisory_unlock(25206, hashtext(current_schema()));  -- it would outlive the transaction
        RAISE;
    END;
    PERFORM pg_advisory_unlock(25206, hashtext(current_schema()));
    RETURN given;
END
$$;

-- Up to which number nothing is under way any more: a statement after this one sees all facts up to there that will ever
-- be. The order is what matters: what was not reserved when the newest was looked for comes after it.
CREATE FUNCTION settled_seq() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    newest BIGINT;
    unsettled BIGINT;
BEGIN
    newest := newest_seq();
    SELECT min(newest - behind) INTO unsettled
    FROM (
        SELECT (newest - objid::BIGINT) & 4294967295 AS behind FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid::BIGINT = (hashtext(current_schema())::BIGINT & 4294967295)
    ) AS reserved
    WHERE behind < 2147483648;  -- the others were reserved after the newest
    RETURN coalesce(unsettled, newest);
END
$$;
