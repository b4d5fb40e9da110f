//! The result of one cell: its index row, and how results are found.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, ToSql, params, params_from_iter};
use serde::Serialize;

use super::field::{CaptureSummary, origin};
use super::{COLUMNS, CellFacts, Columns, Event, Facts, Kind, by_sequence, record};
use crate::result::{CellIds, Decision, Digest, Record, Timestamp};
use crate::review::Verdict;
use crate::sql::{limit, maybe, number, text, unsigned};
use crate::types::{FieldRequest, ListQuery, Lookup, Stored};

impl Kind for Record {
    const NAME: &'static str = "result";
    const TABLE: &'static str = "results";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    fn at(&self) -> Timestamp {
        self.finding.classified_at
    }

    fn columns(&self) -> Columns<'_> {
        let finding = &self.finding;
        let mut columns = Columns::from(origin(&self.capture));
        columns.extend([
            ("result_id", text(&finding.result_id)),
            ("ordinal", number(finding.ordinal.into())),
            ("field", self.field.map_or(ValueRef::Null, number)),
            ("specimen", text(&finding.ids.specimen)),
            ("slide", text(&finding.ids.slide)),
            ("cell", text(&finding.ids.cell)),
            ("p_all", finding.p_all.map_or(ValueRef::Null, ValueRef::Real)),
            ("decision", text(finding.decision.as_str())),
            ("is_doubted", number(finding.is_doubted().into())),
            ("model_digest", maybe(finding.model.as_ref().map(|model| model.digest.as_str()))),
            ("classified_ms", ValueRef::Integer(finding.classified_at.0)),
        ]);
        columns
    }

    fn summary(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Summary<'a> {
            result_id: &'a str,
            decision: Decision,
            #[serde(flatten)]
            capture: CaptureSummary<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            ordinal: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            model: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            supersedes: Option<u64>,
        }
        let finding = &self.finding;
        Summary {
            result_id: &finding.result_id,
            decision: finding.decision,
            capture: CaptureSummary::new(&self.capture),
            field: self.field,
            ordinal: self.field.map(|_| finding.ordinal),
            model: finding.model.as_ref().map(|model| model.digest.as_str()),
            supersedes: self.supersedes,
        }
    }

    fn audit_kind(&self) -> &'static str {
        if self.finding.decision == Decision::Rejected { "rejection" } else { Self::NAME }
    }

    fn facts(&self) -> Option<Facts<'_>> {
        let finding = &self.finding;
        let cell = CellFacts {
            slide: &finding.ids.slide,
            label: finding.label(),
            probability: finding.label_probability(),
            decision: finding.decision,
            path: self.capture.path().map(|path| path.path.as_str()),
        };
        Some(Facts { specimen: &finding.ids.specimen, cell: Some(cell) })
    }

    fn supersedes(&self) -> Option<(u64, u64)> {
        Some((self.supersedes?, self.head()))
    }

    fn renumber(
        &mut self,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()> {
        self.supersedes = self.supersedes.map(new).transpose()?.flatten();
        self.field = self.field.map(new).transpose()?.flatten();
        Ok(())
    }
}

/// The stored capture whose head is `head`: its results, and the end of its field of view.
pub(crate) fn by_head(connection: &Connection, head: u64) -> rusqlite::Result<Option<Stored>> {
    let (alone, field) = match by_sequence(connection, head)? {
        Some(Event::Result(own)) if own.field.is_none() => (Some(own), None),
        Some(Event::Field(field)) => (None, Some(field)),
        Some(Event::Result(_)) => (None, None),
        _ => return Ok(None),
    };
    let records = match alone {
        Some(alone) => vec![alone],
        None => connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM results JOIN events USING (sequence)
                 WHERE field = ?1 ORDER BY sequence"
            ))?
            .query_map([head.cast_signed()], |row| record(row).map(Arc::new))?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(Some(Stored { sequence: head, field, records }))
}

/// The live folder capture of these bytes.
pub(crate) fn live(connection: &Connection, digest: &Digest) -> rusqlite::Result<Option<Stored>> {
    let head = live_head(connection, digest, 0)?;
    Ok(head.map(|head| by_head(connection, head)).transpose()?.flatten())
}

/// The head of the live folder capture of these bytes, other than `own`.
pub(crate) fn live_head(
    connection: &Connection,
    digest: &Digest,
    own: u64,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(
            "SELECT coalesce(field, sequence) AS head FROM results
             WHERE digest = ?1 AND source = 'folder' AND superseded_by IS NULL AND head <> ?2
             UNION ALL SELECT sequence FROM fields
             WHERE digest = ?1 AND source = 'folder' AND superseded_by IS NULL AND sequence <> ?2
             LIMIT 1",
        )?
        .query_row(params![digest.0, own.cast_signed()], |row| unsigned(row, 0))
        .optional()
}

/// The capture of an earlier request with these bytes, ids and model.
pub(crate) fn known_request(
    connection: &Connection,
    digest: &Digest,
    ids: &CellIds,
    model_digest: &str,
) -> rusqlite::Result<Option<Stored>> {
    let head = connection
        .prepare_cached(
            "SELECT sequence FROM results
             WHERE source = 'rpc' AND digest = ?1 AND specimen = ?2 AND slide = ?3 AND cell = ?4
               AND coalesce(model_digest, '') = ?5 AND field IS NULL
             ORDER BY sequence LIMIT 1",
        )?
        .query_row(params![digest.0, ids.specimen, ids.slide, ids.cell, model_digest], |row| {
            unsigned(row, 0)
        })
        .optional()?;
    Ok(head.map(|head| by_head(connection, head)).transpose()?.flatten())
}

/// The field of view of an earlier request that asked for the same. One without cells has no ids:
/// it is known by its bytes.
pub(crate) fn known_field_request(
    connection: &Connection,
    request: &FieldRequest<'_>,
) -> rusqlite::Result<Option<Stored>> {
    let FieldRequest { digest, ids, model, .. } = request;
    let mut statement = connection.prepare_cached(
        "SELECT field FROM results
         WHERE source = 'rpc' AND digest = ?1 AND specimen = ?2 AND slide = ?3 AND cell = ?4
           AND coalesce(model_digest, '') = ?5 AND field IS NOT NULL
         UNION SELECT sequence FROM fields
         WHERE source = 'rpc' AND digest = ?1
           AND NOT EXISTS (SELECT 1 FROM results WHERE field = fields.sequence)
         ORDER BY 1",
    )?;
    let values = params![digest.0, ids.specimen, ids.slide, ids.cell, model];
    let heads: Vec<u64> =
        statement.query_map(values, |row| unsigned(row, 0))?.collect::<rusqlite::Result<_>>()?;
    for head in heads {
        let stored = by_head(connection, head)?;
        let is_like =
            |stored: &Stored| stored.field.as_ref().is_some_and(|own| request.is_like(own));
        if let Some(stored) = stored.filter(is_like) {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Takes out of `digests` all that a stored capture is of.
pub(crate) fn take_known(
    connection: &Connection,
    digests: &mut HashSet<Digest>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT digest FROM results WHERE digest IS NOT NULL
         UNION ALL SELECT digest FROM fields WHERE digest IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        digests.remove(&Digest(found.get(0)?));
    }
    Ok(())
}

/// Whether a stored result has this id.
pub(crate) fn is_taken(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM results WHERE result_id = ?1")?.exists([id])
}

/// One result, by whatever names it.
pub(crate) fn find(connection: &Connection, which: &Lookup) -> rusqlite::Result<Option<Record>> {
    let one = |condition: &str, values: &[&dyn ToSql]| {
        connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM results JOIN events USING (sequence) WHERE {condition} LIMIT 1"
            ))?
            .query_row(values, record)
            .optional()
    };
    let of_file = "(SELECT sequence FROM ledger WHERE folder = ?1 AND path = ?2)";
    match which {
        Lookup::Sequence(sequence) => one("sequence = ?1", &[&sequence.cast_signed()]),
        Lookup::ResultId(id) => one("result_id = ?1", &[id]),
        Lookup::Path(path) => {
            let values: [&dyn ToSql; 2] = [&path.folder, &path.path];
            match one(&format!("sequence = {of_file}"), &values)? {
                Some(found) => Ok(Some(found)),
                // The first cell of a field of view.
                None => one(&format!("field = {of_file} ORDER BY sequence"), &values),
            }
        }
    }
}

/// One step of a listing's walk along the results.
pub(crate) struct Stride<'a> {
    pub(crate) query: &'a ListQuery,
    /// Nothing after this is listed.
    pub(crate) newest: u64,
    /// The rows that one step reads at most, where the filter has a glob.
    pub(crate) rows: usize,
}

impl Stride<'_> {
    /// Adds up to `wanted` matching results that follow `cursor`. Gives whether there may be more,
    /// and where to go on.
    pub(crate) fn walk(
        &self,
        connection: &Connection,
        cursor: Option<u64>,
        wanted: usize,
        records: &mut Vec<Arc<Record>>,
    ) -> rusqlite::Result<(bool, Option<u64>)> {
        let query = self.query;
        let newest = Value::Integer(self.newest.cast_signed());
        let (mut conditions, mut values) = query.filter.to_sql();
        conditions.push("sequence <= ?".to_owned());
        values.push(newest.clone());
        if let Some(verdict) = query.verdict {
            conditions.push(verdict_sql(verdict).to_owned());
            values.push(newest);
        }
        if let Some(as_of) = query.live_as_of {
            conditions.push("(superseded_by IS NULL OR superseded_by > ?)".to_owned());
            values.push(Value::Integer(as_of.cast_signed()));
        }
        if let Some(cursor) = cursor {
            conditions.push(format!("sequence {} ?", if query.newest_first { '<' } else { '>' }));
            values.push(Value::Integer(cursor.cast_signed()));
        }
        let rows_at_most = if query.filter.has_glob() { self.rows } else { wanted };
        values.push(Value::Integer(limit(rows_at_most)));
        let sql = format!(
            "SELECT {COLUMNS}, results.path FROM results JOIN events USING (sequence)
             WHERE {} ORDER BY sequence {} LIMIT ?",
            conditions.join(" AND "),
            if query.newest_first { "DESC" } else { "ASC" }
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut walked, mut last, mut found) = (0, cursor, 0);
        while let Some(row) = rows.next()? {
            walked += 1;
            last = Some(unsigned(row, 0)?);
            if query.filter.admits_path(row.get_ref("path")?.as_str_or_null()?) {
                records.push(Arc::new(record(row)?));
                found += 1;
                if found == wanted {
                    return Ok((true, last));
                }
            }
        }
        Ok((walked == rows_at_most, last))
    }
}

/// Gives the results above `after` and up to `to`, or in descending order, to a caller that only
/// counts.
pub(crate) fn between(
    connection: &Connection,
    (after, to): (u64, u64),
    newest_first: bool,
    rows: usize,
) -> rusqlite::Result<Vec<Record>> {
    let order = if newest_first { "DESC" } else { "ASC" };
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE kind = 'result' AND sequence > ?1 AND sequence <= ?2
             ORDER BY sequence {order} LIMIT ?3"
        ))?
        .query_map([after.cast_signed(), to.cast_signed(), limit(rows)], record)?
        .collect()
}

/// The condition on `results` that holds for those of this verdict, with one `?` for the newest
/// sequence. Only live results have one.
pub(crate) const fn verdict_sql(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suggested => {
            "superseded_by IS NULL AND NOT EXISTS
                (SELECT 1 FROM reviews v WHERE v.result_sequence = results.sequence AND v.sequence <= ?)"
        }
        // Over the reviews, which are few, and not over the results.
        Verdict::Confirmed => {
            "superseded_by IS NULL AND sequence IN
                (SELECT result_sequence FROM (SELECT result_sequence, max(sequence), confirms FROM reviews
                 WHERE sequence <= ? AND result_sequence IS NOT NULL GROUP BY result_sequence) WHERE confirms = 1)"
        }
        Verdict::Corrected => {
            "superseded_by IS NULL AND sequence IN
                (SELECT result_sequence FROM (SELECT result_sequence, max(sequence), confirms FROM reviews
                 WHERE sequence <= ? AND result_sequence IS NOT NULL GROUP BY result_sequence) WHERE confirms = 0)"
        }
    }
}
