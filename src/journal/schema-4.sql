-- leukd's journal, schema version 4: what was measured of each picture.

-- A JSON array of ten numbers, null for what was not measured: area, frame, solidity, sharpness, brightness, contrast,
-- saturation, hue, feature distance, its limit. Their units and ranges stand in the contract (result.proto, Quality).
-- NULL: rejected, or stored before schema 4. The last of the columns that are sealed (docs/audit.md).
ALTER TABLE results ADD COLUMN quality TEXT;

DROP VIEW IF EXISTS results_readable;
CREATE VIEW results_readable AS
SELECT sequence, result_id, source, coalesce(folder || '/' || path, peer) AS origin, client,
       lower(hex(sha256)) AS sha256, specimen, slide, cell, label, probability, decision,
       reasons, quality_flags, quality, model_id, model_digest,
       strftime('%Y-%m-%dT%H:%M:%fZ', captured_ms / 1000.0, 'unixepoch')   AS captured_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', classified_ms / 1000.0, 'unixepoch') AS classified_at,
       supersedes, superseded_by
FROM results;
