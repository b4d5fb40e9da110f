-- leukd's journal, schema version 3: what people say of results, and when a specimen has been told.

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

-- Every specimen has been told up to here, but for those with newer results. What was there before is told to nobody.
ALTER TABLE meta ADD COLUMN specimens_to INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET specimens_to = next_sequence - 1;

-- The standing of a result, and the filters of a listing.
CREATE INDEX reviews_result   ON reviews (result_sequence);
CREATE INDEX reviews_id       ON reviews (result_id);
CREATE INDEX reviews_specimen ON reviews (specimen);
CREATE INDEX reviews_reviewer ON reviews (reviewer);

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
