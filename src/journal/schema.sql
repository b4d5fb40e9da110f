-- leukd's journal, schema version 1. Times ending in _ms are milliseconds since 1970-01-01 UTC,
-- those ending in _us are microseconds, those ending in _ns nanoseconds. Enumerations are words.

-- One row: which journal this is.
CREATE TABLE meta (
  only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch         TEXT    NOT NULL,            -- a UUID: sequences count within it
  next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
  created_ms    INTEGER NOT NULL
) STRICT;

-- What clients see. A row never changes but for superseded_by; retention deletes the oldest ones.
CREATE TABLE results (
  sequence      INTEGER PRIMARY KEY,         -- 1, 2, 3, ... without holes
  result_id     TEXT    NOT NULL UNIQUE,     -- a UUID (version 7)
  source        TEXT    NOT NULL CHECK (source IN ('folder', 'rpc')),
  folder        TEXT,                        -- folder: the watched folder
  path          TEXT,                        -- folder: the path below it
  peer          TEXT,                        -- rpc: the client's address
  request_id    TEXT,                        -- rpc: what the client called it
  sha256        BLOB    CHECK (length(sha256) = 32),  -- NULL: the bytes could not be read
  size_bytes    INTEGER NOT NULL,
  specimen      TEXT    NOT NULL,
  slide         TEXT    NOT NULL,
  cell          TEXT    NOT NULL,
  label         TEXT,                        -- the likeliest class; NULL: rejected
  probability   REAL,                        -- of label
  classes       TEXT    NOT NULL,            -- JSON array of names
  probabilities TEXT    NOT NULL,            -- JSON array of numbers, in the order of classes
  decision      TEXT    NOT NULL CHECK (decision IN ('all', 'hem', 'review', 'rejected')),
  reasons       TEXT    NOT NULL,            -- JSON array of {"code", "message"}
  quality_flags TEXT    NOT NULL,            -- JSON array of words
  model_id      TEXT,                        -- NULL: no model saw it
  model_digest  TEXT,                        -- SHA-256 of the bundle, hexadecimal
  captured_ms   INTEGER NOT NULL,
  classified_ms INTEGER NOT NULL,
  queue_us      INTEGER NOT NULL,
  read_us       INTEGER NOT NULL,
  decode_us     INTEGER NOT NULL,
  preprocess_us INTEGER NOT NULL,
  infer_us      INTEGER NOT NULL,
  supersedes    INTEGER,                     -- the result it replaces; may be gone by retention
  superseded_by INTEGER,                     -- NULL: live
  CHECK ((source = 'folder') = (folder IS NOT NULL AND path IS NOT NULL)),
  CHECK ((source = 'rpc') = (peer IS NOT NULL AND request_id IS NOT NULL))
) STRICT;

-- Identity is content: the same bytes never have two live folder results.
CREATE UNIQUE INDEX results_live_bytes ON results (sha256)
  WHERE source = 'folder' AND superseded_by IS NULL AND sha256 IS NOT NULL;
-- Requests are answered again, not stored again.
CREATE INDEX results_requests ON results (sha256, specimen, slide, cell)
  WHERE source = 'rpc' AND sha256 IS NOT NULL;
-- The filters. Every second row or so has a given label and any probability: those two are
-- answered by a walk along the sequence, which needs no index.
CREATE INDEX results_specimen ON results (specimen);
CREATE INDEX results_slide    ON results (slide);
CREATE INDEX results_decision ON results (decision);

-- The ledger: what became of each file that was ever seen. A row outlives its result, so that
-- retention never makes a file new again.
CREATE TABLE captures (
  folder     TEXT    NOT NULL,
  path       TEXT    NOT NULL,
  size       INTEGER NOT NULL,               -- size, mtime_ns, ctime_ns, inode: the file as it was read
  mtime_ns   INTEGER NOT NULL,
  ctime_ns   INTEGER NOT NULL,               -- 0 on network file systems
  inode      INTEGER NOT NULL,               -- 0 on network file systems; as a signed number
  sha256     BLOB    CHECK (length(sha256) = 32),
  state      TEXT    NOT NULL CHECK (state IN ('done', 'duplicate', 'rejected')),
  sequence   INTEGER NOT NULL,               -- its result, or that of the same bytes
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX captures_sequence ON captures (sequence);
CREATE INDEX captures_state    ON captures (folder, state);

-- Files that were in a worker's hands when the process died, until they have a result.
CREATE TABLE crashes (
  folder     TEXT    NOT NULL,
  path       TEXT    NOT NULL,
  size       INTEGER NOT NULL,               -- the file's state at the last crash
  mtime_ns   INTEGER NOT NULL,
  ctime_ns   INTEGER NOT NULL,
  inode      INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  mark       TEXT    NOT NULL,               -- names the last crash that was counted
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

-- For people with any SQLite tool: the results with their times in words.
CREATE VIEW results_readable AS
SELECT sequence, result_id, source, coalesce(folder || '/' || path, peer) AS origin,
       lower(hex(sha256)) AS sha256, specimen, slide, cell, label, probability, decision,
       reasons, quality_flags, model_id, model_digest,
       strftime('%Y-%m-%dT%H:%M:%fZ', captured_ms / 1000.0, 'unixepoch')   AS captured_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', classified_ms / 1000.0, 'unixepoch') AS classified_at,
       supersedes, superseded_by
FROM results;

-- The ledger with its times in words.
CREATE VIEW captures_readable AS
SELECT folder, path, state, sequence, size, lower(hex(sha256)) AS sha256,
       strftime('%Y-%m-%dT%H:%M:%fZ', mtime_ns / 1000000 / 1000.0, 'unixepoch') AS modified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', updated_ms / 1000.0, 'unixepoch')         AS updated_at
FROM captures;
