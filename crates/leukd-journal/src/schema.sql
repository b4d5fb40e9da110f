-- leukd's journal, schema version 1. Times ending in _ms are milliseconds since 1970-01-01 UTC,
-- those ending in _ns nanoseconds. Enumerations are words.
--
-- The truth is `events`, with what the ledger knows of files and the audit chain of both. `results`,
-- `fields`, `reviews`, `signatures` and `specimens` are indices: each row follows from the payload
-- of its sequence.

-- One row: which journal this is.
CREATE TABLE meta (
  only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch         TEXT    NOT NULL,            -- a UUID: sequences count within it
  next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
  created_ms    INTEGER NOT NULL,
  epoch_reason  TEXT    NOT NULL             -- why the epoch began
    CHECK (epoch_reason IN ('created', 'older', 'replaced', 'copied', 'restored', 'recovered')),
  epoch_began_ms INTEGER NOT NULL,
  epoch_before  TEXT,                        -- the epoch before; NULL: none, or not known
  file_inode    INTEGER NOT NULL DEFAULT 0,  -- this very file, so that a copy shows; 0: the inode does not last
  file_born_ns  INTEGER,                     -- its birth time; NULL: the file system keeps none
  audit_number  INTEGER NOT NULL DEFAULT 0,  -- the newest record of the chain: one that was cut short shows
  audit_hash    BLOB    NOT NULL DEFAULT (zeroblob(32)),
  retention_ms  INTEGER NOT NULL DEFAULT 0,  -- the time that retention goes by
  doubted_ms    INTEGER,                     -- for how long the wall clock has been doubted; NULL: it is not
  specimens_to  INTEGER NOT NULL DEFAULT 0   -- summaries are stored up to here, but for specimens with newer results
) STRICT;

-- Everything that clients see. A row never changes; retention deletes the oldest ones.
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,              -- 1, 2, 3, ... without holes
  kind     TEXT    NOT NULL,                 -- result, field, review, specimen, signature
  at_ms    INTEGER NOT NULL,                 -- classified, reviewed, signed or stored
  payload  TEXT    NOT NULL                  -- a JSON object: the text that the audit chain hashes
) STRICT;

-- The ledger: what became of each file that was ever seen. A row outlives its result, so that
-- retention never makes a file new again.
CREATE TABLE ledger (
  folder     TEXT    NOT NULL,
  path       TEXT    NOT NULL,
  size       INTEGER NOT NULL,               -- size, mtime_ns, ctime_ns, inode: the file as it was read
  mtime_ns   INTEGER NOT NULL,
  ctime_ns   INTEGER NOT NULL,               -- 0 on network file systems
  inode      INTEGER NOT NULL,               -- 0 on network file systems; as a signed number
  digest     BLOB    CHECK (length(digest) = 32),  -- SHA-256; NULL: the bytes could not be read
  state      TEXT    NOT NULL CHECK (state IN ('done', 'duplicate', 'rejected')),
  sequence   INTEGER NOT NULL,               -- the capture's result or field, or that of the same bytes
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

-- What happened, in order. A record is never changed and never removed; it outlives its event.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,                -- 1, 2, 3, ... without holes
  kind   TEXT NOT NULL,                      -- as in record
  record TEXT NOT NULL,                      -- a JSON object: the text that was hashed
  hash   BLOB NOT NULL CHECK (length(hash) = 32)  -- BLAKE3 of the hash before (32 bytes of zero for the first), then record
) STRICT;

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

-- Index: the result of one cell.
CREATE TABLE results (
  sequence      INTEGER PRIMARY KEY,
  result_id     TEXT    NOT NULL UNIQUE,
  source        TEXT    NOT NULL CHECK (source IN ('folder', 'rpc')),
  folder        TEXT,                        -- rpc: NULL
  path          TEXT,                        -- rpc: NULL
  digest        BLOB    CHECK (length(digest) = 32),  -- of the capture; NULL: the bytes could not be read
  ordinal       INTEGER NOT NULL,            -- the cell's number in the capture
  field         INTEGER,                     -- the event that closes the field of view; NULL: a capture of one cell
  specimen      TEXT    NOT NULL,
  slide         TEXT    NOT NULL,
  cell          TEXT    NOT NULL,
  p_all         REAL,                        -- NULL: rejected
  decision      TEXT    NOT NULL CHECK (decision IN ('all', 'hem', 'review', 'rejected')),
  is_doubted    INTEGER NOT NULL CHECK (is_doubted IN (0, 1)),  -- 1: the capture is unlike the model's training cells
  model_digest  TEXT,                        -- NULL: no model saw it
  classified_ms INTEGER NOT NULL,
  superseded_by INTEGER,                     -- the later capture's result or field; NULL: live
  CHECK ((source = 'folder') = (folder IS NOT NULL AND path IS NOT NULL))
) STRICT;

-- Identity is content: the same cell of the same bytes never has two live folder results.
CREATE UNIQUE INDEX results_live ON results (digest, ordinal)
  WHERE source = 'folder' AND superseded_by IS NULL AND digest IS NOT NULL;
-- Requests are answered again, not stored again.
CREATE INDEX results_requests ON results (digest, specimen, slide, cell)
  WHERE source = 'rpc' AND digest IS NOT NULL;
CREATE INDEX results_field ON results (field) WHERE field IS NOT NULL;
-- The filters. Every second row or so has a given label and any probability: those two are
-- answered by a walk along the sequence, which needs no index.
CREATE INDEX results_specimen ON results (specimen);
CREATE INDEX results_slide    ON results (slide);
CREATE INDEX results_decision ON results (decision);
-- A specimen's gallery by probability: its first page takes the same time however large it is.
CREATE INDEX results_gallery  ON results (specimen, p_all) WHERE superseded_by IS NULL;

-- Index: the end of a field of view.
CREATE TABLE fields (
  sequence      INTEGER PRIMARY KEY,
  source        TEXT    NOT NULL CHECK (source IN ('folder', 'rpc')),
  folder        TEXT,
  path          TEXT,
  digest        BLOB    CHECK (length(digest) = 32),
  superseded_by INTEGER                      -- as in results
) STRICT;

CREATE UNIQUE INDEX fields_live ON fields (digest)
  WHERE source = 'folder' AND superseded_by IS NULL AND digest IS NOT NULL;
CREATE INDEX fields_requests ON fields (digest) WHERE source = 'rpc' AND digest IS NOT NULL;

-- Index: what a person said of a result. A review outlives its result, and goes by its own number.
CREATE TABLE reviews (
  sequence        INTEGER PRIMARY KEY,
  review_id       TEXT    NOT NULL UNIQUE,
  result_sequence INTEGER,                   -- may be gone by retention; NULL: a recovery did not save it
  result_id       TEXT    NOT NULL,
  specimen        TEXT    NOT NULL,
  reviewer        TEXT    NOT NULL,
  label           TEXT    NOT NULL CHECK (label IN ('all', 'hem', 'other')),
  confirms          INTEGER NOT NULL CHECK (confirms IN (0, 1)),  -- 1: that is what leukd suggested
  blind           INTEGER NOT NULL CHECK (blind IN (0, 1)),  -- 1: answered before the suggestion was seen
  reviewed_ms     INTEGER NOT NULL
) STRICT;

-- Index: a specimen's summary.
CREATE TABLE specimens (
  sequence        INTEGER PRIMARY KEY,
  specimen        TEXT    NOT NULL,
  round           INTEGER NOT NULL,
  folder          TEXT,                      -- of the done-marker; NULL: the specimen was quiet
  path            TEXT,
  marker_mtime_ns INTEGER
) STRICT;

-- Index: a person's signature of a specimen, or its withdrawal.
CREATE TABLE signatures (
  sequence     INTEGER PRIMARY KEY,
  signature_id TEXT    NOT NULL UNIQUE,
  specimen     TEXT    NOT NULL,
  act          TEXT    NOT NULL CHECK (act IN ('signed', 'withdrawn')),
  signer       TEXT    NOT NULL,             -- whose signature it is
  acted_by     TEXT    NOT NULL,             -- who signed or withdrew
  withdraws    INTEGER,                      -- the signature; NULL: it is none, or a recovery did not save it
  signed_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX ledger_sequence    ON ledger (sequence);
CREATE INDEX ledger_state       ON ledger (folder, state);
-- Everything but results is rare, and looked up by kind.
CREATE INDEX audit_events       ON audit (kind, number) WHERE kind NOT IN ('result', 'rejection', 'adopted');
CREATE INDEX reviews_result     ON reviews (result_sequence);
CREATE INDEX reviews_id         ON reviews (result_id);
CREATE INDEX reviews_specimen   ON reviews (specimen);
CREATE INDEX reviews_reviewer   ON reviews (reviewer);
CREATE INDEX specimens_specimen ON specimens (specimen, sequence);
CREATE INDEX signatures_specimen ON signatures (specimen, sequence);

-- For people with any SQLite tool: the events with their fields as columns and their times in words.
CREATE VIEW results_readable AS
SELECT r.sequence, r.result_id, r.source, coalesce(r.folder || '/' || r.path, payload ->> '$.capture.source.rpc.peer') AS origin,
       payload ->> '$.capture.source.rpc.client' AS client, lower(hex(r.digest)) AS digest, r.ordinal, r.specimen, r.slide, r.cell,
       CASE WHEN r.p_all >= 0.5 THEN 'all' WHEN r.p_all < 0.5 THEN 'hem' END AS label, r.p_all, r.decision,
       payload -> '$.finding.reasons' AS reasons, payload -> '$.finding.quality_flags' AS quality_flags,
       payload -> '$.finding.quality' AS quality, payload ->> '$.finding.model.id' AS model_id, r.model_digest,
       strftime('%Y-%m-%dT%H:%M:%fZ', (payload ->> '$.capture.captured_at') / 1000.0, 'unixepoch') AS captured_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.classified_ms / 1000.0, 'unixepoch') AS classified_at,
       payload ->> '$.supersedes' AS supersedes, r.superseded_by
FROM results r JOIN events USING (sequence);

CREATE VIEW reviews_readable AS
SELECT v.sequence, v.review_id, v.result_sequence, v.result_id,
       payload ->> '$.of.path.folder' || '/' || (payload ->> '$.of.path.path') AS origin, v.specimen,
       payload ->> '$.of.ids.slide' AS slide, payload ->> '$.of.ids.cell' AS cell, payload ->> '$.of.decision' AS decision,
       payload ->> '$.of.p_all' AS p_all, v.label, v.confirms, v.reviewer, payload ->> '$.note' AS note,
       payload ->> '$.client' AS client,
       strftime('%Y-%m-%dT%H:%M:%fZ', v.reviewed_ms / 1000.0, 'unixepoch') AS reviewed_at
FROM reviews v JOIN events USING (sequence);

CREATE VIEW specimens_readable AS
SELECT s.sequence, s.specimen, s.round, s.folder || '/' || s.path AS marker, payload ->> '$.cells.all' AS cells_all,
       payload ->> '$.cells.hem' AS cells_hem, payload ->> '$.cells.review' AS cells_review,
       payload ->> '$.cells.rejected' AS cells_rejected,
       strftime('%Y-%m-%dT%H:%M:%fZ', (payload ->> '$.first_classified_at') / 1000.0, 'unixepoch') AS first_classified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', (payload ->> '$.last_classified_at') / 1000.0, 'unixepoch') AS last_classified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') AS stored_at
FROM specimens s JOIN events USING (sequence);

CREATE VIEW signatures_readable AS
SELECT g.sequence, g.signature_id, g.specimen, g.act, g.signer, g.acted_by, payload ->> '$.reason' AS reason, g.withdraws,
       payload ->> '$.client' AS client,
       strftime('%Y-%m-%dT%H:%M:%fZ', g.signed_ms / 1000.0, 'unixepoch') AS signed_at
FROM signatures g JOIN events USING (sequence);

CREATE VIEW ledger_readable AS
SELECT folder, path, state, sequence, size, lower(hex(digest)) AS digest,
       strftime('%Y-%m-%dT%H:%M:%fZ', mtime_ns / 1000000 / 1000.0, 'unixepoch') AS modified_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', updated_ms / 1000.0, 'unixepoch')         AS updated_at
FROM ledger;

-- The chain without its braces.
CREATE VIEW audit_readable AS
SELECT number, record ->> 'at' AS at, kind, record, lower(hex(hash)) AS hash
FROM audit;
