-- leukd's journal, schema version 1. Times ending in _ms are milliseconds since 1970-01-01 UTC,
-- those ending in _us are microseconds, those ending in _ns nanoseconds. Enumerations are words.

-- One row: which journal this is.
CREATE TABLE meta (
  only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch         TEXT    NOT NULL,            -- a UUID: sequences count within it
  next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
  created_ms    INTEGER NOT NULL,
  -- The newest record of the audit chain. Written with each record, so that a chain that was cut short by hand shows.
  audit_number  INTEGER NOT NULL DEFAULT 0,
  audit_hash    BLOB    NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000',
  -- The time that retention goes by, and for how long the wall clock has been doubted; NULL: it is not.
  believed_ms   INTEGER NOT NULL DEFAULT 0,
  doubted_ms    INTEGER,
  -- Every specimen's summary is stored up to here, but for those with newer results.
  specimens_to  INTEGER NOT NULL DEFAULT 0
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
  client        TEXT    NOT NULL,            -- rpc: the caller, for example 'token:lims'; '' where nobody knows
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
  quality       TEXT,                        -- JSON array of ten numbers, null for what was not measured: area, frame,
                                             -- solidity, sharpness, brightness, contrast, saturation, hue, feature
                                             -- distance, its limit (result.proto, Quality); NULL: rejected
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

-- Reviews. They share one sequence with results and specimens' events: each number is one of the three. A row never changes;
-- retention deletes the oldest ones, by their own numbers: a review outlives its result. So it holds copies.
CREATE TABLE reviews (
  sequence        INTEGER PRIMARY KEY,       -- among all events, without holes
  review_id       TEXT    NOT NULL UNIQUE,   -- a UUID: version 7, or the one that the client gave
  result_sequence INTEGER,                   -- its result, which may be gone by retention; NULL: a recovery did not save it
  result_id       TEXT    NOT NULL,          -- its result's result_id
  folder          TEXT,                      -- the result's; NULL: a request's
  path            TEXT,                      -- the result's; NULL: a request's
  specimen        TEXT    NOT NULL,          -- the result's
  slide           TEXT    NOT NULL,          -- the result's
  cell            TEXT    NOT NULL,          -- the result's
  result_label    TEXT,                      -- the result's label; NULL: rejected
  probability     REAL,                      -- the result's: of result_label
  decision        TEXT    NOT NULL CHECK (decision IN ('all', 'hem', 'review', 'rejected')),  -- the result's
  label           TEXT    NOT NULL CHECK (label IN ('all', 'hem', 'other')),  -- what the reviewer says
  agrees          INTEGER NOT NULL CHECK (agrees IN (0, 1)),  -- 1: that is what leukd suggested
  reviewer        TEXT    NOT NULL,          -- who says it, by the client's word
  note            TEXT    NOT NULL,          -- what else; '' for nothing
  client          TEXT    NOT NULL,          -- who called, for example 'token:lims'; '' where nobody knows
  reviewed_ms     INTEGER NOT NULL,          -- when it was stored
  CHECK ((folder IS NULL) = (path IS NULL))
) STRICT;

-- Specimens that were told: what was counted once nothing more came, or its done-marker appeared. A row never changes.
CREATE TABLE specimens (
  sequence        INTEGER PRIMARY KEY,       -- among all events, without holes
  specimen        TEXT    NOT NULL,          -- never ''
  round           INTEGER NOT NULL,          -- 1, 2, ...: further results after an event lead to another one
  cause           TEXT    NOT NULL CHECK (cause IN ('quiet', 'marker')),
  folder          TEXT,                      -- marker: the watched folder; NULL: quiet
  path            TEXT,                      -- marker: its path below it; NULL: quiet
  marker_mtime_ns INTEGER,                   -- marker: its modification time; NULL: quiet
  cells_all       INTEGER NOT NULL,          -- live results decided as all, as of this event
  cells_hem       INTEGER NOT NULL,          -- as hem
  cells_review    INTEGER NOT NULL,          -- as review
  cells_rejected  INTEGER NOT NULL,          -- as rejected
  first_ms        INTEGER NOT NULL,          -- the earliest of their classified_ms
  last_ms         INTEGER NOT NULL,          -- the latest of their classified_ms
  told_ms         INTEGER NOT NULL,          -- when the event was stored
  CHECK ((cause = 'marker') = (folder IS NOT NULL AND path IS NOT NULL AND marker_mtime_ns IS NOT NULL))
) STRICT;

CREATE INDEX specimens_specimen ON specimens (specimen, sequence);

-- The standing of a result, and the filters of a listing.
CREATE INDEX reviews_result   ON reviews (result_sequence);
CREATE INDEX reviews_id       ON reviews (result_id);
CREATE INDEX reviews_specimen ON reviews (specimen);
CREATE INDEX reviews_reviewer ON reviews (reviewer);

-- What happened, in order. A record is never changed and never removed; it outlives the result it tells of.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,                -- 1, 2, 3, ... without holes
  kind   TEXT NOT NULL,                      -- as in record
  record TEXT NOT NULL,                      -- a JSON object: the text that was hashed
  hash   BLOB NOT NULL CHECK (length(hash) = 32)  -- BLAKE3 of the hash before (32 bytes of zero for the first), then record
) STRICT;

-- Everything but results is rare, and looked up by kind.
CREATE INDEX audit_events ON audit (kind, number) WHERE kind NOT IN ('result', 'rejection', 'adopted');

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
SELECT sequence, result_id, source, coalesce(folder || '/' || path, peer) AS origin, client,
       lower(hex(sha256)) AS sha256, specimen, slide, cell, label, probability, decision,
       reasons, quality_flags, quality, model_id, model_digest,
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

-- For people with any SQLite tool: the reviews with their times in words.
CREATE VIEW reviews_readable AS
SELECT sequence, review_id, result_sequence, result_id, folder || '/' || path AS origin, specimen, slide, cell,
       decision, result_label, probability, label, agrees, reviewer, note, client,
       strftime('%Y-%m-%dT%H:%M:%fZ', reviewed_ms / 1000.0, 'unixepoch') AS reviewed_at
FROM reviews;

-- Specimens' events with their times in words.
CREATE VIEW specimens_readable AS
SELECT sequence, specimen, round, cause, folder || '/' || path AS marker, cells_all, cells_hem, cells_review, cells_rejected,
       strftime('%Y-%m-%dT%H:%M:%fZ', first_ms / 1000.0, 'unixepoch') AS first_classified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', last_ms / 1000.0, 'unixepoch')  AS last_classified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', told_ms / 1000.0, 'unixepoch')  AS told_at
FROM specimens;

-- The chain without its braces.
CREATE VIEW audit_readable AS
SELECT number, record ->> 'at' AS at, kind, record, lower(hex(hash)) AS hash
FROM audit;
