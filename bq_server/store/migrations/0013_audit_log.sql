-- Who did what that is no event. Never changed and never emptied: neither by a reset nor by this program's own mistake.
CREATE TABLE audit_log (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- By the server's clock, whatever clock the environment has.
    at INTEGER NOT NULL,
    -- Both NULL for what concerns all environments.
    project TEXT,
    environment TEXT,
    action TEXT NOT NULL,
    -- Who: a key over HTTP, from an address, in a request; or a command on the data directory.
    key_id TEXT,
    command TEXT,
    address TEXT,
    request_id TEXT,
    -- A JSON object.
    about TEXT NOT NULL
);
CREATE INDEX audit_log_by_scope ON audit_log (project, environment, position);
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_is_not_shortened BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
