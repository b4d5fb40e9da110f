-- leukd's journal, schema version 3: what people say of results.

-- Reviews. They share one sequence with results: each number is one result or one review. A row never changes;
-- retention deletes the oldest ones, by their own numbers: a review outlives its result. So it holds copies.
CREATE TABLE reviews (
  sequence        INTEGER PRIMARY KEY,       -- among results and reviews, without holes
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
