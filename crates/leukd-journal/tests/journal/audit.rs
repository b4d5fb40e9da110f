//! The audit chain: what it holds, and what it finds.

use std::path::{Path, PathBuf};

use leukd_journal::audit::{AuditEvent, AuditHead, Fault, Verified, verify};
use leukd_journal::result::Decision::{All, Hem, Rejected, Review};
use leukd_journal::{FILE, Journal, JournalError, Options};
use rusqlite::Connection;

use crate::fixtures::{capture, clock, known, open, request, stored};

/// A closed journal with results of every kind, one of them superseded, some removed by retention.
pub(crate) async fn story(directory: &Path) -> PathBuf {
    let options = Options { keep_count: Some(7), ..Options::new(clock()) };
    let journal = Journal::open(directory, options).unwrap();
    stored(&journal, capture("old-1", 1, "O1", All)).await;
    stored(&journal, capture("old-2", 1, "O2", Hem)).await;
    stored(&journal, capture("a", 1, "A", All)).await;
    stored(&journal, capture("b", 1, "B", Rejected)).await;
    known(&journal, capture("copy of a", 1, "A", All)).await;
    stored(&journal, request("R", "11", "m")).await;
    stored(&journal, capture("b", 2, "B whole", Review)).await;
    stored(&journal, capture("c", 1, "C", Hem)).await;
    let failure = AuditEvent::LoginFailure {
        peer: "127.0.0.1:9".to_owned(),
        client: "token:nobody".to_owned(),
        reason: "no such token".to_owned(),
        count: 3,
    };
    journal.audit(failure).await.unwrap();
    stored(&journal, capture("d", 1, "D", Hem)).await;
    stored(&journal, capture("e", 1, "E", All)).await;
    assert_eq!(journal.prune().await.unwrap(), 2);
    stored(&journal, capture("f", 1, "F", All)).await;
    directory.join(FILE)
}

pub(crate) fn whole(file: &Path) -> Verified {
    let verified = verify(file, &[]).unwrap();
    assert_eq!(verified.fault, None);
    verified
}

pub(crate) fn fault(file: &Path, heads: &[AuditHead]) -> Fault {
    verify(file, heads).unwrap().fault.expect("a fault that is found")
}

pub(crate) fn tool(file: &Path) -> Connection {
    let tool = Connection::open(file).unwrap();
    tool.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    tool
}

fn kinds(file: &Path) -> Vec<String> {
    let tool = tool(file);
    let mut kinds = tool.prepare("SELECT kind FROM audit ORDER BY number").unwrap();
    kinds.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn number(file: &Path, sql: &str) -> u64 {
    let number: i64 = tool(file).query_row(sql, [], |row| row.get(0)).unwrap();
    number.cast_unsigned()
}

/// The number of the record that tells of a result.
pub(crate) fn record_of(file: &Path, sequence: i64) -> u64 {
    let sql = format!(
        "SELECT number FROM audit WHERE kind IN ('result', 'rejection', 'adopted') \
         AND record ->> 'sequence' = {sequence}"
    );
    number(file, &sql)
}

#[tokio::test]
async fn every_result_rejection_removal_and_event_is_one_record_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let told = kinds(&file);
    let expected = "genesis result result result rejection result result result login-failure result result \
                    retention result";
    assert_eq!(told, expected.split_whitespace().collect::<Vec<_>>());
    let verified = whole(&file);
    assert_eq!((verified.head.number, verified.compared, verified.removed), (13, 8, 2));
    let record: String = tool(&file)
        .query_row("SELECT record FROM audit WHERE kind = 'login-failure'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        record,
        r#"{"number":9,"at":"2026-01-01T00:00:00Z","kind":"login-failure","peer":"127.0.0.1:9","client":"token:nobody","reason":"no such token","count":3}"#
    );
}

#[tokio::test]
async fn a_result_without_its_record_is_never_stored() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let before = journal.audit_head();
    let saboteur = Connection::open(directory.path().join(FILE)).unwrap();
    saboteur
        .execute_batch(
            "CREATE TRIGGER boom BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no disk'); END",
        )
        .unwrap();
    journal.commit(capture("a", 1, "A", All)).await.unwrap_err();
    assert_eq!((journal.bounds().newest, journal.audit_head()), (0, before));
    saboteur.execute_batch("DROP TRIGGER boom").unwrap();
    stored(&journal, capture("a", 1, "A", All)).await;
    assert_eq!(journal.audit_head().number, before.number + 1);
    whole(&directory.path().join(FILE));
}

#[tokio::test]
async fn a_chain_is_verified_while_the_journal_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let file = directory.path().join(FILE);
    for index in 0..40 {
        stored(&journal, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await;
        let verified = whole(&file);
        assert_eq!(verified.head, journal.audit_head());
        assert_eq!(verified.compared, index + 1);
    }
}

#[tokio::test]
async fn a_removed_record_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let head = whole(&file).head;
    for gone in 1..=head.number {
        let tool = tool(&file);
        tool.execute_batch(&format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM audit WHERE number = {gone};
             DELETE FROM audit WHERE number = {gone}"
        ))
        .unwrap();
        let found = fault(&file, &[]);
        assert_eq!(found.number, gone, "{found:?}");
        tool.execute_batch("INSERT INTO audit SELECT * FROM kept").unwrap();
    }
    assert_eq!(whole(&file).head, head);
}

#[tokio::test]
async fn exchanged_and_inserted_records_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let tool = tool(&file);
    // Two neighbours change places, hashes and numbers included.
    tool.execute_batch(
        "UPDATE audit SET number = -1 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5;
         UPDATE audit SET number = 5 WHERE number = -1",
    )
    .unwrap();
    assert_eq!(fault(&file, &[]).number, 4);
    tool.execute_batch(
        "UPDATE audit SET number = -1 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5;
         UPDATE audit SET number = 5 WHERE number = -1",
    )
    .unwrap();
    whole(&file);
    // A record comes in between, sealed as it should be, and the later ones move up.
    let mut records: Vec<(i64, String)> = tool
        .prepare("SELECT number, record FROM audit ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    tool.execute_batch("UPDATE audit SET number = 1000 + number WHERE number >= 6").unwrap();
    tool.execute_batch("UPDATE audit SET number = number - 999 WHERE number >= 1000").unwrap();
    let previous: Vec<u8> =
        tool.query_row("SELECT hash FROM audit WHERE number = 5", [], |row| row.get(0)).unwrap();
    let forged = r#"{"number":6,"at":"2026-01-01T00:00:00Z","kind":"stop","clean":true}"#;
    let hash = blake3::hash(&[&previous, forged.as_bytes()].concat());
    tool.execute(
        "INSERT INTO audit VALUES (6, 'stop', ?1, ?2)",
        (forged, hash.as_bytes().as_slice()),
    )
    .unwrap();
    assert_eq!(fault(&file, &[]).number, 7, "the one after it does not fit");
    // A record after the last one, and one before the first.
    tool.execute_batch("DELETE FROM audit WHERE number = 6").unwrap();
    tool.execute_batch("UPDATE audit SET number = 1000 + number WHERE number >= 6").unwrap();
    tool.execute_batch("UPDATE audit SET number = number - 1001 WHERE number >= 1000").unwrap();
    let head = whole(&file).head;
    let (last, text) = records.pop().unwrap();
    let hash = blake3::hash(&[head.hash.as_bytes(), text.as_bytes()].concat());
    for place in [last + 1, 0, -5] {
        tool.execute(
            "INSERT INTO audit VALUES (?1, 'result', ?2, ?3)",
            (place, &text, hash.as_bytes().as_slice()),
        )
        .unwrap();
        let found = fault(&file, &[]);
        assert_eq!(found.number.cast_signed(), place, "{found:?}");
        tool.execute("DELETE FROM audit WHERE number = ?1", [place]).unwrap();
    }
}

#[tokio::test]
async fn a_result_removed_or_inserted_by_hand_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let tool = tool(&file);
    for sequence in 3..=10 {
        for table in ["events", "results"] {
            tool.execute_batch(&format!(
                "CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE sequence = {sequence};
                 DELETE FROM {table} WHERE sequence = {sequence}"
            ))
            .unwrap();
            let found = fault(&file, &[]);
            let record = record_of(&file, sequence);
            // Another's mark of being superseded may be missed first.
            assert!(found.number <= record && found.number >= record_of(&file, 3), "{found:?}");
            tool.execute_batch(&format!("INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept"))
                .unwrap();
        }
    }
    whole(&file);
    for (sequence, id) in [(11, "later"), (0, "never"), (2, "again")] {
        tool.execute_batch(&format!(
            "CREATE TEMP TABLE forged AS SELECT * FROM events WHERE sequence = 10;
             UPDATE forged SET sequence = {sequence};
             INSERT INTO events SELECT * FROM forged; DROP TABLE forged"
        ))
        .unwrap();
        assert!(fault(&file, &[]).what.contains(&format!("event {sequence}")), "{sequence}");
        tool.execute("DELETE FROM events WHERE sequence = ?1", [sequence]).unwrap();
        // An index row without an event.
        tool.execute_batch(&format!(
            "CREATE TEMP TABLE forged AS SELECT * FROM results WHERE sequence = 10;
             UPDATE forged SET sequence = {sequence}, result_id = '{id}', digest = NULL;
             INSERT INTO results SELECT * FROM forged; DROP TABLE forged"
        ))
        .unwrap();
        assert!(fault(&file, &[]).what.contains("indexed events"), "{sequence}");
        tool.execute("DELETE FROM results WHERE result_id = ?1", [id]).unwrap();
    }
    whole(&file);
}

/// The limit: whoever may write the file can cut off its end, or write all of it anew. A head that
/// is kept elsewhere finds it.
#[tokio::test]
async fn a_chain_cut_short_or_written_anew_is_found_by_a_head_kept_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let kept = whole(&file).head;
    assert_eq!(verify(&file, &[kept]).unwrap().fault, None);
    let tool = tool(&file);
    // The clumsy way: the table meta still knows.
    tool.execute_batch(
        "DELETE FROM audit WHERE number = 13; DELETE FROM results WHERE sequence = 10;
         DELETE FROM events WHERE sequence = 10",
    )
    .unwrap();
    assert_eq!(fault(&file, &[]).number, 13);
    // The careful way.
    tool.execute_batch(
        "UPDATE meta SET next_sequence = 10, audit_number = 12,
            audit_hash = (SELECT hash FROM audit WHERE number = 12)",
    )
    .unwrap();
    whole(&file);
    let found = fault(&file, &[kept]);
    assert_eq!(found.number, 13);
    assert!(found.what.contains("was seen"), "{found:?}");

    // Written anew from the login failure on, which tells of another count.
    let records: Vec<(i64, String)> = tool
        .prepare("SELECT number, record FROM audit ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let seen: AuditHead = tool
        .query_row("SELECT hash FROM audit WHERE number = 11", [], |row| row.get::<_, [u8; 32]>(0))
        .map(|hash| AuditHead { number: 11, hash: hash.into() })
        .unwrap();
    let mut previous = [0; 32];
    for (number, text) in records {
        let text = text.replace("\"count\":3", "\"count\":1");
        previous = *blake3::hash(&[&previous, text.as_bytes()].concat()).as_bytes();
        tool.execute(
            "UPDATE audit SET record = ?2, hash = ?3 WHERE number = ?1",
            (number, text, previous.as_slice()),
        )
        .unwrap();
    }
    tool.execute("UPDATE meta SET audit_hash = ?1", [previous.as_slice()]).unwrap();
    whole(&file);
    let found = fault(&file, &[seen]);
    assert_eq!(found.number, 11);
    assert!(found.what.contains("anew"), "{found:?}");
}

#[tokio::test]
async fn a_journal_whose_chain_lost_its_end_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    tool(&file).execute_batch("DELETE FROM audit WHERE number = 13").unwrap();
    let refused = Journal::open(directory.path(), Options::new(clock())).unwrap_err();
    assert!(refused.to_string().contains("audit chain"), "{refused}");
}

#[tokio::test]
async fn nothing_follows_the_record_of_the_stop() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    let head = journal.audit(AuditEvent::Stop { clean: false }).await.unwrap();
    // What was cut off at the stop and comes to its end only now.
    let late = journal.commit(capture("b", 1, "B", All)).await.unwrap_err();
    assert!(matches!(late, JournalError::Closed), "{late}");
    let late = journal.audit(AuditEvent::Stop { clean: true }).await.unwrap_err();
    assert!(matches!(late, JournalError::Closed), "{late}");
    journal.prune().await.unwrap_err();
    assert_eq!(journal.write_audit_backlog().await.unwrap(), head);
    drop(journal);
    let file = directory.path().join(FILE);
    assert_eq!(kinds(&file), ["genesis", "result", "stop"]);
    assert_eq!(whole(&file).head, head);
    // The next process goes on behind it.
    let journal = open(directory.path());
    stored(&journal, capture("b", 1, "B", All)).await;
}
