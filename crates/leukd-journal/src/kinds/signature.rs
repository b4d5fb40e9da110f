//! What people sign.
//!
//! A signature counts while it is newer than every change of its specimen. So that nothing has to
//! be undone, what counts is looked up each time, from the index tables alone.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::specimen::tally;
use super::{COLUMNS, Columns, Event, Facts, Kind, parse};
use crate::error::SignError;
use crate::result::Timestamp;
use crate::signature::{
    Act, Held, MAX_FIRST, MAX_HELD, NewSignature, SignOff, SignOffState, Signature, Signed, Since,
    is_same_person,
};
use crate::sql::{limit, number, text, unsigned};
use crate::types::SpecimenQuery;

/// The most names of signers of one specimen that are looked at, those with the newest act first.
const MAX_NAMES: usize = 4096;

impl Kind for Signature {
    const NAME: &'static str = "signature";
    const TABLE: &'static str = "signatures";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    fn at(&self) -> Timestamp {
        self.at
    }

    fn columns(&self) -> Columns<'_> {
        vec![
            ("signature_id", text(&self.signature_id)),
            ("specimen", text(&self.specimen)),
            ("act", text(self.act.as_str())),
            ("signer", text(&self.signer)),
            ("acted_by", text(&self.by)),
            ("withdraws", self.withdraws.map_or(ValueRef::Null, number)),
            ("signed_ms", ValueRef::Integer(self.at.0)),
        ]
    }

    /// Its reason stands in the payload alone, so that retention can remove it.
    fn summary(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Summary<'a> {
            signature_id: &'a str,
            specimen: &'a str,
            signer: &'a str,
            by: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            withdraws: Option<u64>,
            client: &'a str,
        }
        Summary {
            signature_id: &self.signature_id,
            specimen: &self.specimen,
            signer: &self.signer,
            by: &self.by,
            withdraws: self.withdraws,
            client: &self.client,
        }
    }

    fn audit_kind(&self) -> &'static str {
        match self.act {
            Act::Signed => "signature",
            Act::Withdrawn => "withdrawal",
        }
    }

    fn facts(&self) -> Option<Facts<'_>> {
        Some(Facts { specimen: &self.specimen, cell: None })
    }

    fn renumber(
        &mut self,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()> {
        self.withdraws = self.withdraws.map(new).transpose()?.flatten();
        self.seen = self.seen.map(new).transpose()?.flatten();
        Ok(())
    }
}

/// The answer to a signature.
pub(crate) type Answer = Result<Signed, SignError>;

/// Decides on a signature or a withdrawal inside the writer's transaction: an answer, and the event
/// to store.
pub(crate) fn apply(
    connection: &Connection,
    next: u64,
    now: Timestamp,
    new: NewSignature,
) -> rusqlite::Result<(Answer, Option<Event>)> {
    // First of all: a retry is answered also when the specimen has changed by now.
    if let Some(id) = &new.signature_id
        && let Some(known) = by_id(connection, id)?
    {
        let same = (&known.specimen, known.act, &known.signer, &known.by, &known.reason)
            == (&new.specimen, new.act, &new.signer, &new.by, &new.reason)
            && known.seen == new.seen;
        let refused = || SignError::IdTaken(id.clone());
        return Ok((same.then(|| Signed::Known(Arc::new(known))).ok_or_else(refused), None));
    }
    let newest = next.saturating_sub(1);
    let Some(found) = sign_off(connection, &new.specimen, new.readers, newest)? else {
        return Ok((Err(SignError::NoSpecimen(new.specimen)), None));
    };
    let withdraws = match allowed(&found, &new) {
        Ok(withdraws) => withdraws,
        Err(refused) => return Ok((Err(refused), None)),
    };
    let NewSignature { specimen, act, signer, by, reason, client, signature_id, seen, .. } = new;
    let query = SpecimenQuery { specimen, ..SpecimenQuery::default() };
    let cells = tally(connection, &query, newest)?.cells;
    let signature = Signature {
        sequence: next,
        signature_id: signature_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        specimen: query.specimen,
        act,
        signer,
        by,
        reason,
        withdraws,
        seen,
        cells,
        client,
        at: now,
    };
    let signature = Arc::new(signature);
    Ok((Ok(Signed::Stored(Arc::clone(&signature))), Some(Event::Signature(signature))))
}

/// The sequence that a withdrawal takes back; none for a signature that may be given.
fn allowed(found: &SignOff, new: &NewSignature) -> Result<Option<u64>, SignError> {
    let specimen = new.specimen.clone();
    let own = found.of(&new.signer);
    if new.act == Act::Withdrawn {
        let signer = new.signer.clone();
        let own = own.ok_or(SignError::NoSignature { specimen, signer })?;
        return Ok(Some(own.signature.sequence));
    }
    if found.to_review > 0 {
        let (to_review, first) = (found.to_review, found.first.clone());
        return Err(SignError::Waiting { specimen, to_review, first });
    }
    // Nobody can have seen what is not stored yet: the sequence is another journal's.
    let is_odd = |seen: &u64| *seen < found.changed_at || *seen > found.as_of_sequence;
    if let Some(seen) = new.seen.filter(is_odd) {
        return Err(SignError::Changed { specimen, seen, newest: found.changed_at });
    }
    if let Some(own) = own.filter(|own| own.is_current) {
        let (signer, sequence) = (own.signature.signer.clone(), own.signature.sequence);
        return Err(SignError::SamePerson { specimen, signer, sequence });
    }
    if found.state == SignOffState::Signed {
        let signers = found.current().map(|signature| signature.signer.clone()).collect();
        return Err(SignError::Complete { specimen, signers });
    }
    Ok(None)
}

fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<Signature>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM signatures JOIN events USING (sequence) WHERE signature_id = ?1"
        ))?
        .query_row([id], |row| parse(unsigned(row, 0)?, row.get_ref(2)?.as_str()?))
        .optional()
}

/// Live cells of the specimen (1) up to a newest sequence (2) that nobody has reviewed.
const TO_REVIEW: &str = "FROM results r WHERE specimen = ?1 AND sequence <= ?2
    AND decision = 'review' AND (superseded_by IS NULL OR superseded_by > ?2) AND NOT EXISTS
        (SELECT 1 FROM reviews v WHERE v.result_sequence = r.sequence AND v.sequence <= ?2)";

/// Reviews of the specimen (1) up to a newest sequence (2) that say something else than what stood:
/// the review before of the same cell, or, for the first, leukd's suggestion. Of a result that
/// retention has removed, what stood before is not known any more.
const CHANGING: &str = "FROM reviews v WHERE specimen = ?1 AND sequence <= ?2 AND coalesce(
    label <> (SELECT b.label FROM reviews b WHERE b.result_id = v.result_id
              AND b.sequence < v.sequence ORDER BY b.sequence DESC LIMIT 1),
    confirms = 0) AND EXISTS (SELECT 1 FROM results r WHERE r.sequence = v.result_sequence)";

/// The sign-off of a specimen, by what is stored up to `newest`; none when no live result names it.
pub(crate) fn sign_off(
    connection: &Connection,
    specimen: &str,
    readers: u32,
    newest: u64,
) -> rusqlite::Result<Option<SignOff>> {
    let which = params![specimen, newest.cast_signed()];
    let count =
        |sql: &str| connection.prepare_cached(sql)?.query_row(which, |row| unsigned(row, 0));
    let is_live = "SELECT 1 FROM results WHERE specimen = ?1 AND sequence <= ?2
         AND (superseded_by IS NULL OR superseded_by > ?2) LIMIT 1";
    if !connection.prepare_cached(is_live)?.exists(which)? {
        return Ok(None);
    }
    let changed_at = count(
        "SELECT max(max(sequence),
             coalesce(max(superseded_by) FILTER (WHERE superseded_by <= ?2), 0))
         FROM results WHERE specimen = ?1 AND sequence <= ?2",
    )?
    .max(count(&format!("SELECT coalesce(max(sequence), 0) {CHANGING}"))?);
    let held = held(connection, specimen, newest, changed_at)?;
    let to_review = count(&format!("SELECT count(*) {TO_REVIEW}"))?;
    let first = connection
        .prepare_cached(&format!(
            "SELECT sequence {TO_REVIEW} ORDER BY sequence LIMIT {MAX_FIRST}"
        ))?
        .query_map(which, |row| unsigned(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    let current = held.iter().filter(|held| held.is_current).count() as u64;
    let outdated = held.iter().find(|held| !held.is_current).map(|held| held.signature.sequence);
    let state = if to_review == 0 && current > 0 && current >= u64::from(readers) {
        SignOffState::Signed
    } else if current == 0 && outdated.is_some() {
        SignOffState::Changed
    } else if to_review > 0 {
        SignOffState::Open
    } else {
        SignOffState::Waiting
    };
    let since = outdated.map(|after| since(connection, specimen, (after, newest), changed_at));
    Ok(Some(SignOff {
        state,
        readers,
        to_review,
        first,
        held,
        since: since.transpose()?,
        changed_at,
        as_of_sequence: newest,
    }))
}

/// The last signature of each person that was not withdrawn, the newest first.
fn held(
    connection: &Connection,
    specimen: &str,
    newest: u64,
    changed_at: u64,
) -> rusqlite::Result<Vec<Held>> {
    // The last act of each name: nobody's signature is hidden by how often others act.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM signatures JOIN events USING (sequence)
         WHERE sequence IN (SELECT max(sequence) FROM signatures
                            WHERE specimen = ?1 AND sequence <= ?2 GROUP BY signer)
         ORDER BY sequence DESC LIMIT ?3"
    ))?;
    let mut rows = statement.query(params![specimen, newest.cast_signed(), limit(MAX_NAMES)])?;
    let (mut people, mut held): (Vec<String>, Vec<Held>) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let signature: Signature = parse(unsigned(row, 0)?, row.get_ref(2)?.as_str()?)?;
        if people.iter().any(|known| is_same_person(known, &signature.signer)) {
            continue;
        }
        people.push(signature.signer.clone());
        if signature.act == Act::Signed && held.len() < MAX_HELD {
            let is_current = signature.sequence > changed_at;
            held.push(Held { signature, is_current });
        }
    }
    Ok(held)
}

/// The changes above a sequence, up to and with another.
fn since(
    connection: &Connection,
    specimen: &str,
    (after, newest): (u64, u64),
    changed_at: u64,
) -> rusqlite::Result<Since> {
    let which = params![specimen, newest.cast_signed(), after.cast_signed()];
    let count =
        |sql: &str| connection.prepare_cached(sql)?.query_row(which, |row| unsigned(row, 0));
    Ok(Since {
        newest: changed_at,
        results: count(
            "SELECT count(*) FROM results WHERE specimen = ?1 AND sequence <= ?2
             AND (sequence > ?3 OR superseded_by BETWEEN ?3 + 1 AND ?2)",
        )?,
        reviews: count(&format!("SELECT count(*) {CHANGING} AND sequence > ?3"))?,
    })
}
