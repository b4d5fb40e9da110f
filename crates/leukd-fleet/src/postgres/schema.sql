-- leukd's laboratory store, schema version 1. Made by `leukd lab init`; needs PostgreSQL 15.
--
-- The truth is leukd.events and leukd.audit: what the sites' journals hold, byte for byte.
-- Sites write by three functions alone, which find out by the session's role which site calls.

CREATE SCHEMA leukd;

-- One row: which store this is.
CREATE TABLE leukd.lab (
  only_row       int    PRIMARY KEY CHECK (only_row = 1),
  schema_version int    NOT NULL,
  epoch          uuid   NOT NULL DEFAULT gen_random_uuid(), -- lab sequences count within it
  next_sequence  bigint NOT NULL DEFAULT 1 CHECK (next_sequence >= 1),
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO leukd.lab (only_row, schema_version) VALUES (1, 1);

-- The workstations.
CREATE TABLE leukd.sites (
  site           text   PRIMARY KEY CHECK (site ~ '^[a-z0-9][a-z0-9_]{0,39}$'),
  role           name   NOT NULL UNIQUE,        -- the role that writes as this site
  epoch          text,                          -- the journal that may write; NULL: the next one that comes
  generation     bigint NOT NULL DEFAULT 0,     -- of the connection that may write
  host           text   NOT NULL DEFAULT '',
  version        text   NOT NULL DEFAULT '',
  newest         bigint NOT NULL DEFAULT 0,     -- the newest event at the site, as it last said
  seen_at        timestamptz,                   -- when it last said anything
  refused        text,                          -- why another journal was refused under this name
  refused_at     timestamptz
);

-- How much is held of each journal; one row for each epoch of a site.
CREATE TABLE leukd.journals (
  site           text   NOT NULL REFERENCES leukd.sites,
  epoch          text   NOT NULL,
  began_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  held           bigint NOT NULL DEFAULT 0,     -- events up to here
  records        bigint NOT NULL DEFAULT 0,     -- records of the audit chain up to here
  PRIMARY KEY (site, epoch)
);

-- What retention at a site removed before the store could take it.
CREATE TABLE leukd.gaps (
  site           text   NOT NULL,
  epoch          text   NOT NULL,
  first          bigint NOT NULL,
  last           bigint NOT NULL,
  noted_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (site, epoch, first),
  FOREIGN KEY (site, epoch) REFERENCES leukd.journals
);

-- The events of all sites, in the order of their commits.
CREATE TABLE leukd.events (
  lab_sequence   bigint PRIMARY KEY,            -- 1, 2, 3, ... without holes, in commit order
  site           text   NOT NULL,
  epoch          text   NOT NULL,
  sequence       bigint NOT NULL,               -- at the site
  kind           text   NOT NULL,               -- result, field, review, specimen, signature
  at             timestamptz NOT NULL,          -- by the site's clock
  stored_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  text           text   NOT NULL,               -- the very text that the site's audit chain hashes
  payload        jsonb  NOT NULL,               -- the same, to be searched
  UNIQUE (site, epoch, sequence),
  FOREIGN KEY (site, epoch) REFERENCES leukd.journals
);

-- The audit chains of all sites.
CREATE TABLE leukd.audit (
  site           text   NOT NULL,
  epoch          text   NOT NULL,
  number         bigint NOT NULL,
  record         text   NOT NULL,               -- the text that was hashed
  hash           bytea  NOT NULL CHECK (length(hash) = 32), -- BLAKE3 of the hash before, then record
  PRIMARY KEY (site, epoch, number),
  FOREIGN KEY (site, epoch) REFERENCES leukd.journals
);

-- A journal that was restored sends its events again under its new epoch: what people look at is the
-- newest copy, found by the id that the site gave it.
CREATE INDEX events_result    ON leukd.events ((payload -> 'finding' ->> 'result_id'), lab_sequence) WHERE kind = 'result';
CREATE INDEX events_review    ON leukd.events ((payload ->> 'review_id'), lab_sequence) WHERE kind = 'review';
CREATE INDEX events_signature ON leukd.events ((payload ->> 'signature_id'), lab_sequence) WHERE kind = 'signature';
CREATE INDEX events_specimen  ON leukd.events ((payload -> 'finding' -> 'ids' ->> 'specimen')) WHERE kind = 'result';
CREATE INDEX events_supersedes ON leukd.events (site, epoch, ((payload ->> 'supersedes')::bigint))
  WHERE payload ? 'supersedes';

-- jsonb knows no NUL, which JSON can hold; in the text it stays.
CREATE FUNCTION leukd.searchable(stored text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN position('\u0000' IN stored) = 0 THEN stored ELSE replace(stored, '\u0000', '\ufffd') END::jsonb $$;

-- The site that the session writes as; none for other roles.
CREATE FUNCTION leukd.own_site() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT site FROM leukd.sites WHERE role = session_user $$;

-- What is held of a journal, and whether this server keeps what it has answered.
CREATE FUNCTION leukd.held(p_epoch text, OUT site text, OUT held bigint, OUT records bigint, OUT is_durable boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT leukd.own_site() INTO site;
  IF site IS NULL THEN
    RAISE EXCEPTION 'the role % belongs to no site', session_user USING ERRCODE = 'LK003';
  END IF;
  SELECT j.held, j.records INTO held, records FROM leukd.journals j WHERE j.site = held.site AND j.epoch = p_epoch;
  held := coalesce(held, 0);
  records := coalesce(records, 0);
  is_durable := current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean;
END $$;

-- The right to write, for one connection: gives its generation. An answer other than '' is a refusal.
CREATE FUNCTION leukd.claim(
  p_epoch text, p_former text[], p_host text, p_version text, p_held bigint, p_records bigint, p_hash bytea,
  p_newest bigint, p_acknowledged bigint, OUT refusal text, OUT generation bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  own leukd.sites;
  known leukd.journals;
  found_hash bytea;
BEGIN
  refusal := '';
  SELECT * INTO own FROM leukd.sites s WHERE s.role = session_user FOR UPDATE;
  IF own IS NULL THEN
    RAISE EXCEPTION 'the role % belongs to no site', session_user USING ERRCODE = 'LK003';
  END IF;
  SELECT * INTO known FROM leukd.journals j WHERE j.site = own.site AND j.epoch = p_epoch;
  IF coalesce(known.held, 0) <> p_held OR coalesce(known.records, 0) <> p_records THEN
    RAISE EXCEPTION 'the store holds more by now' USING ERRCODE = 'LK002';
  END IF;
  IF own.epoch IS NOT NULL AND own.epoch <> p_epoch AND own.epoch <> ALL (p_former) THEN
    refusal := format(
      'the name %s belongs to the journal %s of the host %s, last seen at %s; this is the journal %s of the host %s. '
      'Give each workstation a name of its own; if this one takes the other''s place: leukd lab accept --site %s',
      own.site, own.epoch, own.host, to_char(own.seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      p_epoch, p_host, own.site);
  ELSIF p_held > p_newest THEN
    refusal := format(
      'the store holds events of this journal up to %s, and the journal ends at %s: another daemon goes on with a copy of it',
      p_held, p_newest);
  ELSIF p_records > 0 THEN
    SELECT a.hash INTO found_hash FROM leukd.audit a
      WHERE a.site = own.site AND a.epoch = p_epoch AND a.number = p_records;
    IF found_hash IS DISTINCT FROM p_hash THEN
      refusal := format(
        'the audit chain differs from the one that the store holds at record %s: two daemons go on with copies of one journal',
        p_records);
    END IF;
  END IF;
  IF refusal <> '' THEN
    UPDATE leukd.sites s SET refused = refusal, refused_at = clock_timestamp() WHERE s.site = own.site;
    RETURN;
  END IF;
  INSERT INTO leukd.journals (site, epoch) VALUES (own.site, p_epoch) ON CONFLICT DO NOTHING;
  IF p_acknowledged > p_held THEN
    -- This store came back from an older backup: its numbers may be known to clients.
    UPDATE leukd.lab SET epoch = gen_random_uuid();
  END IF;
  UPDATE leukd.sites s
    SET epoch = p_epoch, generation = s.generation + 1, host = p_host, version = p_version, newest = p_newest,
        seen_at = clock_timestamp()
    WHERE s.site = own.site
    RETURNING s.generation INTO claim.generation;
END $$;

-- Stores a batch, all of it or nothing.
CREATE FUNCTION leukd.append(
  p_generation bigint, p_epoch text, p_held bigint, p_records bigint, p_gap_to bigint, p_newest bigint,
  p_kinds text[], p_at bigint[], p_texts text[], p_chain text[], p_hashes bytea[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  own leukd.sites;
  known leukd.journals;
  count bigint := cardinality(p_texts);
  after bigint;
  lab_after bigint;
BEGIN
  SELECT * INTO own FROM leukd.sites s WHERE s.role = session_user FOR UPDATE;
  IF own IS NULL THEN
    RAISE EXCEPTION 'the role % belongs to no site', session_user USING ERRCODE = 'LK003';
  END IF;
  IF own.generation <> p_generation OR own.epoch IS DISTINCT FROM p_epoch THEN
    RAISE EXCEPTION 'a later connection writes as %: from the host %', own.site, own.host USING ERRCODE = 'LK001';
  END IF;
  SELECT * INTO known FROM leukd.journals j WHERE j.site = own.site AND j.epoch = p_epoch;
  IF known.held <> p_held OR known.records <> p_records THEN
    RAISE EXCEPTION 'the store holds % events and % records, not % and %', known.held, known.records, p_held, p_records
      USING ERRCODE = 'LK002';
  END IF;
  after := coalesce(p_gap_to, p_held);
  IF p_gap_to IS NOT NULL THEN
    INSERT INTO leukd.gaps (site, epoch, first, last) VALUES (own.site, p_epoch, p_held + 1, p_gap_to);
  END IF;
  INSERT INTO leukd.audit (site, epoch, number, record, hash)
    SELECT own.site, p_epoch, p_records + new.place, new.record, new.hash
    FROM unnest(p_chain, p_hashes) WITH ORDINALITY AS new (record, hash, place);
  UPDATE leukd.journals j SET held = after + count, records = p_records + cardinality(p_chain)
    WHERE j.site = own.site AND j.epoch = p_epoch;
  UPDATE leukd.sites s SET newest = p_newest, seen_at = clock_timestamp() WHERE s.site = own.site;
  IF count > 0 THEN
    -- Last of all: the row stays locked until the commit, which is what makes the order.
    UPDATE leukd.lab SET next_sequence = next_sequence + count RETURNING next_sequence - count - 1 INTO lab_after;
    INSERT INTO leukd.events (lab_sequence, site, epoch, sequence, kind, at, text, payload)
      SELECT lab_after + new.place, own.site, p_epoch, after + new.place, new.kind,
             to_timestamp(new.at / 1000.0), new.text, leukd.searchable(new.text)
      FROM unnest(p_kinds, p_at, p_texts) WITH ORDINALITY AS new (kind, at, text, place);
  END IF;
END $$;

-- The result of each cell, the newest copy of it.
CREATE VIEW leukd.results WITH (security_invoker = true) AS
SELECT e.lab_sequence, e.site, e.epoch, e.sequence, e.payload -> 'finding' ->> 'result_id' AS result_id,
       e.payload -> 'finding' -> 'ids' ->> 'specimen' AS specimen, e.payload -> 'finding' -> 'ids' ->> 'slide' AS slide,
       e.payload -> 'finding' -> 'ids' ->> 'cell' AS cell, e.payload -> 'finding' ->> 'decision' AS decision,
       (e.payload -> 'finding' ->> 'p_all')::float8 AS p_all, e.payload -> 'finding' -> 'reasons' AS reasons,
       e.payload -> 'finding' -> 'model' ->> 'digest' AS model_digest, e.payload -> 'capture' ->> 'digest' AS digest,
       (e.payload ->> 'supersedes')::bigint AS supersedes,
       NOT EXISTS (SELECT FROM leukd.events later
                   WHERE later.site = e.site AND later.epoch = e.epoch AND later.payload ? 'supersedes'
                     AND (later.payload ->> 'supersedes')::bigint = coalesce((e.payload ->> 'field')::bigint, e.sequence)
                  ) AS is_live,
       e.at AS classified_at, e.stored_at
FROM leukd.events e
WHERE e.kind = 'result' AND NOT EXISTS (
  SELECT FROM leukd.events newer
  WHERE newer.kind = 'result' AND newer.lab_sequence > e.lab_sequence AND newer.site = e.site
    AND newer.payload -> 'finding' ->> 'result_id' = e.payload -> 'finding' ->> 'result_id');

-- What people said of results.
CREATE VIEW leukd.reviews WITH (security_invoker = true) AS
SELECT e.lab_sequence, e.site, e.epoch, e.sequence, e.payload ->> 'review_id' AS review_id,
       e.payload -> 'of' ->> 'result_id' AS result_id, e.payload -> 'of' -> 'ids' ->> 'specimen' AS specimen,
       e.payload ->> 'label' AS label, e.payload ->> 'reviewer' AS reviewer, e.payload ->> 'note' AS note,
       e.at AS reviewed_at, e.stored_at
FROM leukd.events e
WHERE e.kind = 'review' AND NOT EXISTS (
  SELECT FROM leukd.events newer
  WHERE newer.kind = 'review' AND newer.lab_sequence > e.lab_sequence AND newer.site = e.site
    AND newer.payload ->> 'review_id' = e.payload ->> 'review_id');

-- Summaries of specimens, of each site's running journal.
CREATE VIEW leukd.specimens WITH (security_invoker = true) AS
SELECT e.lab_sequence, e.site, e.epoch, e.sequence, e.payload ->> 'specimen' AS specimen,
       (e.payload -> 'cells' ->> 'all')::bigint AS cells_all, (e.payload -> 'cells' ->> 'hem')::bigint AS cells_hem,
       (e.payload -> 'cells' ->> 'review')::bigint AS cells_review,
       (e.payload -> 'cells' ->> 'rejected')::bigint AS cells_rejected, e.at AS summarized_at, e.stored_at
FROM leukd.events e JOIN leukd.sites s USING (site, epoch)
WHERE e.kind = 'specimen';

-- Signatures of specimens, and their withdrawals.
CREATE VIEW leukd.signatures WITH (security_invoker = true) AS
SELECT e.lab_sequence, e.site, e.epoch, e.sequence, e.payload ->> 'signature_id' AS signature_id,
       e.payload ->> 'specimen' AS specimen, e.payload ->> 'act' AS act, e.payload ->> 'signer' AS signer,
       e.payload ->> 'acted_by' AS acted_by, e.at AS signed_at, e.stored_at
FROM leukd.events e
WHERE e.kind = 'signature' AND NOT EXISTS (
  SELECT FROM leukd.events newer
  WHERE newer.kind = 'signature' AND newer.lab_sequence > e.lab_sequence AND newer.site = e.site
    AND newer.payload ->> 'signature_id' = e.payload ->> 'signature_id');

-- A site reads its own rows alone, and writes by the functions alone. A reader reads everything.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leukd FROM PUBLIC;
GRANT USAGE ON SCHEMA leukd TO leukd_site, leukd_reader;
GRANT EXECUTE ON FUNCTION leukd.own_site, leukd.held, leukd.claim, leukd.append TO leukd_site;
GRANT EXECUTE ON FUNCTION leukd.own_site TO leukd_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA leukd TO leukd_site, leukd_reader;
ALTER TABLE leukd.sites    ENABLE ROW LEVEL SECURITY;
ALTER TABLE leukd.journals ENABLE ROW LEVEL SECURITY;
ALTER TABLE leukd.gaps     ENABLE ROW LEVEL SECURITY;
ALTER TABLE leukd.events   ENABLE ROW LEVEL SECURITY;
ALTER TABLE leukd.audit    ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON leukd.sites    FOR SELECT TO leukd_site USING (site = leukd.own_site());
CREATE POLICY own_rows ON leukd.journals FOR SELECT TO leukd_site USING (site = leukd.own_site());
CREATE POLICY own_rows ON leukd.gaps     FOR SELECT TO leukd_site USING (site = leukd.own_site());
CREATE POLICY own_rows ON leukd.events   FOR SELECT TO leukd_site USING (site = leukd.own_site());
CREATE POLICY own_rows ON leukd.audit    FOR SELECT TO leukd_site USING (site = leukd.own_site());
CREATE POLICY all_rows ON leukd.sites    FOR SELECT TO leukd_reader USING (true);
CREATE POLICY all_rows ON leukd.journals FOR SELECT TO leukd_reader USING (true);
CREATE POLICY all_rows ON leukd.gaps     FOR SELECT TO leukd_reader USING (true);
CREATE POLICY all_rows ON leukd.events   FOR SELECT TO leukd_reader USING (true);
CREATE POLICY all_rows ON leukd.audit    FOR SELECT TO leukd_reader USING (true);
