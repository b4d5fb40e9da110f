//! Signatures of specimens: events of their own, which count until something changes.

use std::path::Path;

use leukd_journal::audit::verify;
use leukd_journal::backup::{backup, restore};
use leukd_journal::check::check;
use leukd_journal::clock::Clock;
use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::{self, All, Hem, Review as Unsure};
use leukd_journal::review::ReviewLabel::{self, Other};
use leukd_journal::signature::{Act, NewSignature, SignOff, SignOffState, Signature, Signed};
use leukd_journal::types::Entry;
use leukd_journal::{Event, FILE, Journal, Options, SignError};
use rusqlite::Connection;

use crate::fixtures::{START, capture, clock, events, open, review, reviewed, stored};

/// A capture of specimen S.
fn of(name: &str, bytes: &str, decision: Decision) -> Entry {
    let mut entry = capture(name, 1, bytes, decision);
    if let Entry::Capture { found, .. } = &mut entry {
        "S".clone_into(&mut found.cells[0].ids.specimen);
    }
    entry
}

fn by(signer: &str, readers: u32) -> NewSignature {
    NewSignature {
        specimen: "S".to_owned(),
        act: Act::Signed,
        signer: signer.to_owned(),
        by: signer.to_owned(),
        reason: String::new(),
        client: "token:lims".to_owned(),
        signature_id: None,
        seen: None,
        readers,
    }
}

fn back(signer: &str, by: &str) -> NewSignature {
    NewSignature {
        act: Act::Withdrawn,
        by: by.to_owned(),
        reason: "the wrong slide".to_owned(),
        ..self::by(signer, 1)
    }
}

async fn signed(journal: &Journal, new: NewSignature) -> Signature {
    match journal.sign(new).await.unwrap() {
        Signed::Stored(own) => (*own).clone(),
        Signed::Known(own) => panic!("expected a new signature, got {}", own.sequence),
    }
}

fn stands(journal: &Journal, readers: u32) -> SignOff {
    journal.sign_off("S", readers).unwrap().unwrap()
}

fn state(journal: &Journal) -> SignOffState {
    stands(journal, 1).state
}

/// Results 1 to 3, of which 2 and 3 are under review.
async fn begun(directory: &Path) -> Journal {
    let journal = open(directory);
    stored(&journal, of("a", "A", All)).await;
    stored(&journal, of("b", "B", Unsure)).await;
    stored(&journal, of("c", "C", Unsure)).await;
    journal
}

/// The same, with reviews 4 and 5 and Ada's signature 6.
async fn story(directory: &Path) -> Journal {
    let journal = begun(directory).await;
    reviewed(&journal, review(2, ReviewLabel::Hem)).await;
    reviewed(&journal, review(3, Other)).await;
    assert_eq!(signed(&journal, by("Ada", 1)).await.sequence, 6);
    journal
}

fn sound(directory: &Path) {
    let file = directory.join(FILE);
    let findings = check(&file).unwrap().findings;
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(verify(&file, &[]).unwrap().fault, None);
}

#[tokio::test]
async fn a_specimen_is_signed_once_each_doubtful_cell_is_reviewed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = begun(directory.path()).await;
    assert_eq!(journal.sign_off("T", 1).unwrap(), None);
    let own = stands(&journal, 1);
    assert_eq!((own.state, own.to_review, own.first), (SignOffState::Open, 2, vec![2, 3]));
    reviewed(&journal, review(2, ReviewLabel::Hem)).await;
    let refused = journal.sign(by("Ada", 1)).await.unwrap_err();
    let SignError::Waiting { to_review: 1, first, .. } = &refused else { panic!("{refused}") };
    assert_eq!(first, &[3]);
    assert!(refused.to_string().contains("1 cell waits"), "{refused}");
    let nothing = NewSignature { specimen: "T".to_owned(), ..by("Ada", 1) };
    let refused = journal.sign(nothing).await.unwrap_err();
    assert_eq!(refused, SignError::NoSpecimen("T".to_owned()));
    reviewed(&journal, review(3, Other)).await;
    assert_eq!(state(&journal), SignOffState::Waiting);
    let own = signed(&journal, by("Ada", 1)).await;
    assert_eq!((own.cells.all, own.cells.review, own.sequence), (1, 2, 6));
    assert_eq!(events(&journal).last(), Some(&Event::Signature(own.clone().into())));
    let now = stands(&journal, 1);
    assert_eq!((now.state, now.held.len(), now.since), (SignOffState::Signed, 1, None));
    assert_eq!(now.held[0].signature, own);
    let refused = journal.sign(by("Bob", 1)).await.unwrap_err();
    assert!(matches!(refused, SignError::Complete { .. }), "{refused}");
    assert_eq!(journal.bounds().newest, 6, "a refusal stores nothing");
    let of = |specimen: &str| {
        let criteria = Criteria { specimen: specimen.to_owned(), ..Criteria::default() };
        Filter::new(criteria).unwrap().matches(&Event::Signature(own.clone().into()))
    };
    assert!(of("S") && !of("T"));
    drop(journal);
    assert_eq!(state(&open(directory.path())), SignOffState::Signed, "a restart forgets nothing");
    sound(directory.path());
}

#[tokio::test]
async fn two_different_people_sign_where_two_must() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    assert_eq!(stands(&journal, 2).state, SignOffState::Waiting);
    for same in ["Ada", " ada "] {
        let refused = journal.sign(by(same, 2)).await.unwrap_err();
        assert!(matches!(refused, SignError::SamePerson { sequence: 6, .. }), "{refused}");
    }
    // The second reader says again what stands, which changes nothing.
    reviewed(&journal, review(3, Other)).await;
    signed(&journal, by("Bob", 2)).await;
    let own = stands(&journal, 2);
    assert_eq!((own.state, own.current().count()), (SignOffState::Signed, 2));
}

#[tokio::test]
async fn a_result_or_a_changed_review_ends_a_signature_visibly() {
    for change in ["result", "superseded", "review", "first review"] {
        let directory = tempfile::tempdir().unwrap();
        let journal = story(directory.path()).await;
        // What leukd suggested, confirmed for the first time, changes nothing.
        reviewed(&journal, review(1, ReviewLabel::All)).await;
        assert_eq!(state(&journal), SignOffState::Signed, "{change}");
        match change {
            "result" => drop(stored(&journal, of("d", "D", Hem)).await),
            // By a capture that names no specimen.
            "superseded" => drop(stored(&journal, capture("a", 2, "A2", All)).await),
            "review" => drop(reviewed(&journal, review(2, ReviewLabel::All)).await),
            _ => drop(reviewed(&journal, review(1, ReviewLabel::Hem)).await),
        }
        let own = stands(&journal, 1);
        assert_eq!(own.state, SignOffState::Changed, "{change}");
        let since = own.since.unwrap();
        let is_review = change.contains("review");
        let expected = (8, u64::from(!is_review), u64::from(is_review));
        assert_eq!((since.newest, since.results, since.reviews), expected, "{change}");
        assert_eq!((own.held[0].signature.sequence, own.held[0].is_current), (6, false));
        // Who has seen it only as it was cannot sign it.
        let refused = journal.sign(NewSignature { seen: Some(7), ..by("Ada", 1) }).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, SignError::Changed { seen: 7, newest: 8, .. }), "{refused}");
        signed(&journal, NewSignature { seen: Some(8), ..by("Ada", 1) }).await;
        assert_eq!(state(&journal), SignOffState::Signed, "{change}");
        assert_eq!(stands(&journal, 1).since, None);
        drop(journal);
        sound(directory.path());
    }
}

#[tokio::test]
async fn a_signature_is_withdrawn_and_both_stay() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    let refused = journal.sign(back("Bob", "Bob")).await.unwrap_err();
    assert!(matches!(refused, SignError::NoSignature { .. }), "{refused}");
    let own = signed(&journal, back("ada", "Bob")).await;
    assert_eq!((own.withdraws, own.by.as_str()), (Some(6), "Bob"));
    assert_eq!(own.reason, "the wrong slide");
    let now = stands(&journal, 1);
    assert_eq!((now.state, now.held.len()), (SignOffState::Waiting, 0));
    signed(&journal, by("Ada", 1)).await;
    assert_eq!(state(&journal), SignOffState::Signed);
    assert_eq!(events(&journal).iter().filter_map(Event::signature).count(), 3);
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn a_signature_counts_however_often_others_sign_and_withdraw() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    for _ in 0..300 {
        signed(&journal, by("Bob", 3)).await;
        signed(&journal, back("Bob", "Bob")).await;
    }
    let held: Vec<_> =
        stands(&journal, 3).held.into_iter().map(|own| own.signature.signer).collect();
    assert_eq!(held, ["Ada"]);
    signed(&journal, back("Ada", "Ada")).await;
}

#[tokio::test]
async fn a_retry_is_answered_with_the_stored_signature() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    let id = Some(uuid::Uuid::from_u128(7).to_string());
    signed(&journal, back("Ada", "Ada")).await;
    let new = NewSignature { signature_id: id.clone(), ..by("Ada", 1) };
    let first = signed(&journal, new.clone()).await;
    // Also when the specimen has changed meanwhile.
    stored(&journal, of("d", "D", Unsure)).await;
    let Signed::Known(again) = journal.sign(new.clone()).await.unwrap() else { panic!() };
    assert_eq!(*again, first);
    let bobs = NewSignature { signer: "Bob".to_owned(), by: "Bob".to_owned(), ..new.clone() };
    let seen = NewSignature { seen: Some(5), ..new };
    for other in [bobs, seen] {
        let refused = journal.sign(other).await.unwrap_err();
        assert!(matches!(refused, SignError::IdTaken(_)), "{refused}");
    }
}

#[tokio::test]
async fn retention_ends_no_signature_of_a_specimen_whose_cells_remain() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    // Says what stood, and so ends no signature; nor may it, once it is the first that is left.
    reviewed(&journal, review(3, Other)).await;
    assert_eq!(state(&journal), SignOffState::Signed);
    drop(journal);
    for (keep, oldest) in [(6, 2), (5, 3)] {
        let keep = Options { keep_count: Some(keep), ..Options::new(Clock::manual(START)) };
        let journal = Journal::open(directory.path(), keep).unwrap();
        journal.prune().await.unwrap();
        assert_eq!(journal.bounds().oldest, oldest);
        let own = stands(&journal, 1);
        assert_eq!((own.state, own.changed_at), (SignOffState::Signed, 5), "{own:?}");
        assert_eq!(own.held[0].signature.signer, "Ada");
    }
    sound(directory.path());
}

#[tokio::test]
async fn a_sign_off_outlives_backup_restore_and_the_new_epoch() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = story(directory.path()).await;
    let (before, epoch) = (stands(&journal, 1), journal.epoch().to_owned());
    let file = place.path().join("backup");
    backup(&directory.path().join(FILE), &file, &mut |_, _| {}).unwrap();
    // What came after the backup is gone with the journal that it came to.
    signed(&journal, back("Ada", "Ada")).await;
    drop(journal);
    restore(&file, directory.path(), &clock(), &mut |_, _| {}).unwrap();
    let journal = open(directory.path());
    assert_ne!(journal.epoch(), epoch);
    let after = stands(&journal, 1);
    assert_eq!((after.state, &after.held), (SignOffState::Signed, &before.held));
    // It counts on: a change ends it, and the same person may sign again.
    stored(&journal, of("d", "D", All)).await;
    assert_eq!(state(&journal), SignOffState::Changed);
    signed(&journal, by("Ada", 1)).await;
    assert_eq!(state(&journal), SignOffState::Signed);
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn an_edited_signature_is_found_by_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    drop(story(directory.path()).await);
    let file = directory.path().join(FILE);
    let tool = Connection::open(&file).unwrap();
    for edit in [
        "UPDATE events SET payload = json_set(payload, '$.signer', 'Eve') WHERE sequence = 6",
        "UPDATE signatures SET signer = 'Eve' WHERE sequence = 6",
        "DELETE FROM signatures WHERE sequence = 6",
    ] {
        tool.execute_batch("BEGIN").unwrap();
        tool.execute_batch(edit).unwrap();
        tool.execute_batch("COMMIT").unwrap();
        let found = verify(&file, &[]).unwrap().fault;
        assert!(found.is_some(), "{edit}");
        drop(found);
        tool.execute_batch(
            "UPDATE events SET payload = json_set(payload, '$.signer', 'Ada') WHERE sequence = 6;
             INSERT OR REPLACE INTO signatures SELECT sequence, payload ->> '$.signature_id',
                payload ->> '$.specimen', payload ->> '$.act', payload ->> '$.signer',
                payload ->> '$.by', payload ->> '$.withdraws', payload ->> '$.at'
             FROM events WHERE sequence = 6",
        )
        .unwrap();
    }
    drop(tool);
    sound(directory.path());
}

#[tokio::test]
async fn a_recovery_replays_signatures_under_their_new_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let journal = story(directory.path()).await;
    signed(&journal, back("Ada", "Ada")).await;
    signed(&journal, by("Bob", 1)).await;
    drop(journal);
    let file = directory.path().join(FILE);
    let tool = Connection::open(&file).unwrap();
    tool.execute_batch("DELETE FROM events WHERE sequence = 1").unwrap();
    drop(tool);
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!((recovered.count("signature"), recovered.lost), (3, Some(1)));
    let journal = open(directory.path());
    let numbers: Vec<_> = events(&journal)
        .iter()
        .filter_map(Event::signature)
        .map(|own| (own.sequence, own.withdraws))
        .collect();
    assert_eq!(numbers, [(5, None), (6, Some(5)), (7, None)]);
    let own = stands(&journal, 1);
    assert_eq!((own.state, own.held[0].signature.signer.as_str()), (SignOffState::Signed, "Bob"));
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn retention_removes_a_signature_like_every_event() {
    let directory = tempfile::tempdir().unwrap();
    drop(story(directory.path()).await);
    let keep = |count| Options { keep_count: Some(count), ..Options::new(Clock::manual(START)) };
    let journal = Journal::open(directory.path(), keep(2)).unwrap();
    journal.prune().await.unwrap();
    // Its results are gone, and with them what could be signed.
    assert_eq!(journal.sign_off("S", 1).unwrap(), None);
    assert_eq!(events(&journal).iter().filter_map(Event::signature).count(), 1);
    drop(journal);
    let journal = Journal::open(directory.path(), keep(0)).unwrap();
    journal.prune().await.unwrap();
    stored(&journal, of("d", "D", All)).await;
    assert_eq!(state(&journal), SignOffState::Waiting);
    drop(journal);
    sound(directory.path());
}
