-- The journal's tables. A section is one migration: it is run once, in one transaction, when `PRAGMA user_version` is below its number.
-- Every table is STRICT and append-only: what was once remembered is never changed. Prices are 1e-4 $, counts 1e-2 contracts, times world
-- unix seconds. `trace` joins the rows of one decision.

-- version 1: what the gateway meant, what was decided, and everything else

CREATE TABLE runs (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE intents (
    id             INTEGER PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES runs (id),
    client_id      TEXT NOT NULL UNIQUE,
    market         TEXT NOT NULL,
    unit           TEXT NOT NULL,
    side           TEXT NOT NULL CHECK (side IN ('bid', 'ask')),
    price          INTEGER NOT NULL,
    count          INTEGER NOT NULL,
    fence          INTEGER NOT NULL,
    p_true         REAL NOT NULL,
    required_edge  REAL NOT NULL,
    expires_at     REAL NOT NULL,
    at             REAL NOT NULL,
    trace          INTEGER NOT NULL
) STRICT;

CREATE TABLE decisions (
    id         INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL REFERENCES runs (id),
    market     TEXT NOT NULL,
    side       TEXT NOT NULL CHECK (side IN ('bid', 'ask')),
    book_seq   INTEGER NOT NULL,
    fair_seq   INTEGER NOT NULL,
    action     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    price      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    p_true     REAL NOT NULL,
    at         REAL NOT NULL,
    trace      INTEGER NOT NULL,
    waterfall  TEXT NOT NULL
) STRICT;

CREATE TABLE records (
    id      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES runs (id),
    kind    TEXT NOT NULL,
    at      REAL NOT NULL,
    market  TEXT NOT NULL,
    trace   INTEGER NOT NULL,
    fields  TEXT NOT NULL CHECK (json_valid(fields))
) STRICT;

CREATE INDEX records_by_kind ON records (kind, id);

CREATE TRIGGER runs_keep_update BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER runs_keep_delete BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER intents_keep_update BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER intents_keep_delete BEFORE DELETE ON intents BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER decisions_keep_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER decisions_keep_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER records_keep_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER records_keep_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- The records as people ask for them. A fill told twice (stream and list) is one fill: the first row of its id counts.

CREATE VIEW fills AS
    SELECT min(id) AS id, run, at, market, trace,
           fields ->> 'fill_id' AS fill_id, fields ->> 'client_id' AS client_id, fields ->> 'order_id' AS order_id,
           fields ->> 'side' AS side, fields ->> 'price' AS price, fields ->> 'count' AS count, fields ->> 'fee' AS fee,
           fields ->> 'is_taker' AS is_taker, fields ->> 'derived' AS derived
    FROM records WHERE kind = 'fill' GROUP BY fields ->> 'fill_id';

CREATE VIEW outcomes AS
    SELECT id, run, kind, at, market, trace,
           fields ->> 'client_id' AS client_id, fields ->> 'order_id' AS order_id, fields ->> 'action' AS action,
           fields ->> 'result' AS result, fields ->> 'detail' AS detail, fields ->> 'reduced' AS reduced
    FROM records WHERE kind IN ('outcome', 'gone');

CREATE VIEW trips AS
    SELECT id, run, kind, at, market, trace,
           fields ->> 'scope' AS scope, fields ->> 'counter' AS counter, fields ->> 'reason' AS reason,
           fields ->> 'source' AS source, fields ->> 'hold_s' AS hold_s
    FROM records WHERE kind IN ('pull', 'kill', 'armed');

CREATE VIEW restarts AS
    SELECT id, run, at, fields ->> 'actor' AS actor, fields ->> 'incarnation' AS incarnation, fields ->> 'reason' AS reason
    FROM records WHERE kind = 'restart';

CREATE VIEW settlements AS
    SELECT id, run, at, market, fields ->> 'value' AS value FROM records WHERE kind = 'settled';
