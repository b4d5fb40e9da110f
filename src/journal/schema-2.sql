-- leukd's journal, schema version 2: who asked for a result, and the audit chain (docs/audit.md).

-- rpc: who called, for example 'token:lims', 'cert:lims.lab', 'uid:1000'; '' where nobody knows.
ALTER TABLE results ADD COLUMN client TEXT NOT NULL DEFAULT '';

-- The newest record of the chain. Written with each record, so that a chain that was cut short by hand shows.
ALTER TABLE meta ADD COLUMN audit_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN audit_hash BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';

-- The time that retention went by (believed.rs), and for how long the wall clock has been doubted; NULL: it is not.
ALTER TABLE meta ADD COLUMN believed_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN doubted_ms INTEGER;

-- What happened, in order. A record is never changed and never removed; it outlives the result it tells of.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,                -- 1, 2, 3, ... without holes
  kind   TEXT NOT NULL,                      -- as in record
  record TEXT NOT NULL,                      -- a JSON object: the text that was hashed
  hash   BLOB NOT NULL CHECK (length(hash) = 32)  -- BLAKE3 of the hash before (32 bytes of zero for the first), then record
) STRICT;

-- Everything but results is rare, and looked up by kind.
CREATE INDEX audit_events ON audit (kind, number) WHERE kind NOT IN ('result', 'rejection', 'adopted');

DROP VIEW results_readable;
CREATE VIEW results_readable AS
SELECT sequence, result_id, source, coalesce(folder || '/' || path, peer) AS origin, client,
       lower(hex(sha256)) AS sha256, specimen, slide, cell, label, probability, decision,
       reasons, quality_flags, model_id, model_digest,
       strftime('%Y-%m-%dT%H:%M:%fZ', captured_ms / 1000.0, 'unixepoch')   AS captured_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', classified_ms / 1000.0, 'unixepoch') AS classified_at,
       supersedes, superseded_by
FROM results;

-- The chain without its braces.
CREATE VIEW audit_readable AS
SELECT number, record ->> 'at' AS at, kind, record, lower(hex(hash)) AS hash
FROM audit;
