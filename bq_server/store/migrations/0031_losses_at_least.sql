-- Whether more may be lost than is known: a server that was killed had no time to note the last that it accepted.
ALTER TABLE losses ADD COLUMN at_least INTEGER NOT NULL DEFAULT 0;
