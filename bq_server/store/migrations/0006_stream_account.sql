-- What is known of each stream that was used, so that a loss there is noticed here.
CREATE TABLE stream_account (
    -- The stream server and the prefix, without a password.
    place TEXT PRIMARY KEY,
    -- The stream carries it, too: one that carries another, or none, is not the stream that was counted.
    epoch TEXT NOT NULL,
    -- Messages that came into the stream, that were taken out as settled, and that went missing, since then.
    appended INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    -- The ids of the message that had waited longest, and of the one appended last.
    oldest TEXT NOT NULL,
    newest TEXT NOT NULL,
    -- Whether these are the counts with which the last server stopped: none was accepted since.
    final INTEGER NOT NULL DEFAULT 0
);

-- What went wrong with the stream, until somebody has looked into it and for ever after.
CREATE TABLE losses (
    loss INTEGER PRIMARY KEY AUTOINCREMENT,
    noticed_at INTEGER NOT NULL,
    what TEXT NOT NULL,
    -- How many accepted messages are gone, and between which ids they were.
    messages INTEGER NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    acknowledged_at INTEGER
);
