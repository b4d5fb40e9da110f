//! The sign-off of a specimen, as clients and the command line meet it.

use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::refusal::{assert_field, info, reason};
use crate::support::{ALL, Folders, HEM, Harness, REVIEW, cell_of, next, until};
use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::sign_off::State;
use leukd::grpc::proto::signature::Act;
use leukd::grpc::proto::submit_review_request::Of;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, SignOff, SignSpecimenRequest, WithdrawSignatureRequest};
use tonic::{Code, Status};

/// Results 1 to 3 of specimen S: a blast, and two for review.
async fn daemon(readers: u32) -> Harness {
    let harness =
        Harness::start_on(Folders::new(), |own| own.specimen.sign_off_readers = readers).await;
    for (seed, patches) in (1..).zip([ALL, REVIEW, REVIEW]) {
        classify(&harness, patches, seed).await;
    }
    harness
}

async fn classify(harness: &Harness, patches: u32, seed: u64) {
    let image = cell_of(patches, seed);
    let request = proto::ClassifyRequest { image, specimen: "S".to_owned(), ..Default::default() };
    harness.classifier().classify(request).await.unwrap();
}

async fn review(harness: &Harness, sequence: u64, label: &str) {
    let request = proto::SubmitReviewRequest {
        of: Some(Of::Sequence(sequence)),
        label: label.to_owned(),
        reviewer: "Ada".to_owned(),
        ..Default::default()
    };
    harness.reviews().submit_review(request).await.unwrap();
}

fn by(signer: &str) -> SignSpecimenRequest {
    SignSpecimenRequest {
        specimen: "S".to_owned(),
        signer: signer.to_owned(),
        ..Default::default()
    }
}

async fn sign(
    harness: &Harness,
    request: SignSpecimenRequest,
) -> Result<proto::SignSpecimenResponse, Status> {
    Ok(harness.reviews().sign_specimen(request).await?.into_inner())
}

async fn refused(harness: &Harness, request: SignSpecimenRequest) -> Status {
    sign(harness, request).await.unwrap_err()
}

async fn withdraw(
    harness: &Harness,
    request: WithdrawSignatureRequest,
) -> Result<proto::WithdrawSignatureResponse, Status> {
    Ok(harness.reviews().withdraw_signature(request).await?.into_inner())
}

/// As GetSpecimen and ListSpecimens say it alike.
async fn stands(harness: &Harness) -> SignOff {
    let request = proto::GetSpecimenRequest { specimen: "S".to_owned(), slide: None };
    let own = harness.results().get_specimen(request).await.unwrap().into_inner();
    let request = proto::ListSpecimensRequest::default();
    let listed = harness.results().list_specimens(request).await.unwrap().into_inner();
    assert_eq!(listed.specimens.len(), 1);
    assert_eq!(listed.specimens[0].sign_off, own.sign_off);
    own.sign_off.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_is_signed_streamed_and_unsigned_by_a_change() {
    let harness = daemon(1).await;
    let request = proto::SubscribeRequest { start: Some(Start::Latest(())), ..Default::default() };
    let mut live = harness.results().subscribe(request).await.unwrap().into_inner();
    let own = stands(&harness).await;
    assert_eq!((own.state(), own.to_review), (State::Open, 2));
    assert_eq!(own.first_to_review, [2, 3]);
    let waits = refused(&harness, by("Ada")).await;
    assert_eq!((waits.code(), reason(&waits).as_str()), (Code::FailedPrecondition, "CELLS_WAIT"));
    let (_, metadata) = info(&waits);
    assert_eq!(metadata["to_review"], "2");
    assert_eq!(metadata["first"], "2,3");
    assert!(waits.message().contains("results 2, 3"), "{}", waits.message());

    review(&harness, 2, "hem").await;
    review(&harness, 3, "other").await;
    let seen = stands(&harness).await;
    assert_eq!(seen.state(), State::Waiting);
    let request = SignSpecimenRequest { as_of_sequence: seen.as_of_sequence, ..by(" Ada ") };
    let answer = sign(&harness, request).await.unwrap();
    let signature = answer.signature.unwrap();
    assert_eq!((signature.sequence, signature.signer.as_str()), (6, "Ada"));
    assert_eq!((signature.act(), signature.all, signature.review), (Act::Signed, 1, 2));
    assert_eq!(answer.sign_off.unwrap().state(), State::Signed);
    let event = loop {
        match next(&mut live).await.kind.unwrap() {
            Kind::Signature(own) => break own,
            Kind::Hello(_) | Kind::Review(_) | Kind::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(event, signature, "an event of its own for every subscriber");

    classify(&harness, HEM, 9).await;
    let own = stands(&harness).await;
    assert_eq!(own.state(), State::Changed);
    let since = own.since.unwrap();
    assert_eq!((since.newest, since.results, since.reviews), (7, 1, 0));
    let held = &own.signatures[0];
    assert_eq!((held.counts, held.signature.as_ref()), (false, Some(&signature)));
    let unseen = SignSpecimenRequest { as_of_sequence: seen.as_of_sequence, ..by("Ada") };
    assert_eq!(reason(&refused(&harness, unseen).await), "SPECIMEN_CHANGED");
    sign(&harness, by("Ada")).await.unwrap();
    assert_eq!(stands(&harness).await.state(), State::Signed);
    assert_eq!(reason(&refused(&harness, by("Bob")).await), "SIGNED");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_and_each_can_withdraw() {
    let harness = daemon(2).await;
    review(&harness, 2, "hem").await;
    review(&harness, 3, "hem").await;
    let answer = sign(&harness, by("Ada")).await.unwrap();
    assert_eq!(answer.sign_off.unwrap().state(), State::Waiting);
    let same = refused(&harness, by("ADA")).await;
    assert_eq!((same.code(), reason(&same).as_str()), (Code::FailedPrecondition, "SAME_PERSON"));
    sign(&harness, by("Bob")).await.unwrap();
    let own = stands(&harness).await;
    assert_eq!((own.state(), own.readers, own.signatures.len()), (State::Signed, 2, 2));

    let back = |of: &str, by: &str, why: &str| WithdrawSignatureRequest {
        specimen: "S".to_owned(),
        signer: of.to_owned(),
        withdrawn_by: by.to_owned(),
        reason: why.to_owned(),
        ..Default::default()
    };
    assert_field(&withdraw(&harness, back("Ada", "Bob", " ")).await.unwrap_err(), "reason");
    let nobody = withdraw(&harness, back("Eve", "", "")).await.unwrap_err();
    assert_eq!(reason(&nobody), "NO_SIGNATURE");
    let answer = withdraw(&harness, back("Ada", "Bob", "another slide")).await.unwrap();
    let withdrawal = answer.signature.unwrap();
    assert_eq!((withdrawal.act(), withdrawal.withdraws), (Act::Withdrawn, 6));
    assert_eq!(
        (withdrawal.acted_by.as_str(), withdrawal.reason.as_str()),
        ("Bob", "another slide")
    );
    assert_eq!(answer.sign_off.unwrap().signatures.len(), 1);
    // One's own needs no reason.
    let answer = withdraw(&harness, back("Bob", "", "")).await.unwrap();
    assert_eq!(answer.sign_off.unwrap().signatures, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_cannot_be_says_why_and_a_retry_is_harmless() {
    let harness = daemon(1).await;
    for sequence in [2, 3] {
        review(&harness, sequence, "all").await;
    }
    let no_specimen = SignSpecimenRequest { specimen: String::new(), ..by("Ada") };
    assert_field(&refused(&harness, no_specimen).await, "specimen");
    let long = SignSpecimenRequest { specimen: "s".repeat(300), ..by("Ada") };
    assert_field(&refused(&harness, long).await, "specimen");
    for signer in ["", "  ", &"x".repeat(129)] {
        assert_field(&refused(&harness, by(signer)).await, "signer");
    }
    let no_id = SignSpecimenRequest { signature_id: "7".to_owned(), ..by("Ada") };
    assert_field(&refused(&harness, no_id).await, "signature_id");
    let unknown = SignSpecimenRequest { specimen: "T".to_owned(), ..by("Ada") };
    let unknown = refused(&harness, unknown).await;
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "NO_SPECIMEN"));

    let signature_id = "0193A5F0-0000-7000-8000-000000000001".to_owned();
    let request = SignSpecimenRequest { signature_id, ..by("Ada") };
    let first = sign(&harness, request.clone()).await.unwrap();
    let again = sign(&harness, request.clone()).await.unwrap();
    assert_eq!((first.reused, again.reused), (false, true));
    assert_eq!(first.signature, again.signature);
    let other = SignSpecimenRequest { signer: "Bob".to_owned(), ..request.clone() };
    let seen = SignSpecimenRequest { as_of_sequence: 5, ..request };
    for other in [other, seen] {
        let taken = refused(&harness, other).await;
        assert_eq!(taken.code(), Code::AlreadyExists);
        assert_eq!(reason(&taken), "SIGNATURE_ID_TAKEN");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_two_forms_of_unicode_is_one_person() {
    let harness = daemon(2).await;
    let (composed, apart) = ("J\u{fc}rgen", "Ju\u{308}rgen");
    for (sequence, reviewer) in [(2, composed), (3, apart)] {
        let request = proto::SubmitReviewRequest {
            of: Some(Of::Sequence(sequence)),
            label: "hem".to_owned(),
            reviewer: reviewer.to_owned(),
            ..Default::default()
        };
        let stored = harness.reviews().submit_review(request).await.unwrap().into_inner();
        assert_eq!(stored.review.unwrap().reviewer, composed);
    }
    let request = proto::ListReviewsRequest { reviewer: apart.to_owned(), ..Default::default() };
    let own = harness.reviews().list_reviews(request).await.unwrap().into_inner();
    assert_eq!(own.reviews.len(), 2);
    let signature = sign(&harness, by(apart)).await.unwrap().signature.unwrap();
    assert_eq!(signature.signer, composed);
    assert_eq!(reason(&refused(&harness, by(composed)).await), "SAME_PERSON");
    let turned = proto::SubmitReviewRequest {
        of: Some(Of::Sequence(2)),
        label: "hem".to_owned(),
        reviewer: "a\u{202e}b".to_owned(),
        ..Default::default()
    };
    assert_field(&harness.reviews().submit_review(turned).await.unwrap_err(), "reviewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_a_line_round_is_shown_as_an_escape() {
    let harness = Harness::start().await;
    for specimen in ["a\u{202e}b", "c\u{2066}d\u{200b}"] {
        let (image, specimen) = (cell_of(ALL, 1), specimen.to_owned());
        let request = proto::ClassifyRequest { image, specimen, ..Default::default() };
        harness.classifier().classify(request).await.unwrap();
    }
    let server = format!("http://{}", harness.daemon().address());
    for words in [
        &["specimens"][..],
        &["results"],
        &["specimen", "a\u{202e}b"],
        &["sign", "a\u{202e}b", "--signer", "Ada"],
        &["tail", "--once"],
    ] {
        let output = leukd(&[words, &["--server", server.as_str()]].concat()).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        let said = stdout(&output) + &stderr(&output);
        assert!(said.contains("a\\u{202e}b"), "{words:?}: {said}");
        let unseen = |c: char| "\u{202e}\u{2066}\u{200b}".contains(c);
        assert!(!said.contains(unseen), "{words:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn specimens_are_listed_page_by_page() {
    let harness = daemon(1).await;
    for (specimen, seed) in [("T", 20), ("U", 21), ("", 22)] {
        let (image, specimen) = (cell_of(ALL, seed), specimen.to_owned());
        let request = proto::ClassifyRequest { image, specimen, ..Default::default() };
        harness.classifier().classify(request).await.unwrap();
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListSpecimensRequest { page_size: 2, page_token };
        let page = harness.results().list_specimens(request).await.unwrap().into_inner();
        names.extend(page.specimens.into_iter().map(|own| own.specimen));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["U", "T", "S"], "without the cells of no specimen");
    let request = proto::ListSpecimensRequest { page_size: 101, ..Default::default() };
    assert_field(&harness.results().list_specimens(request).await.unwrap_err(), "page_size");
    let request = proto::ListSpecimensRequest { page_token: "x".to_owned(), ..Default::default() };
    assert_field(&harness.results().list_specimens(request).await.unwrap_err(), "page_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_signs_lists_withdraws_and_follows() {
    let folders = Folders::new();
    for (name, patches) in [("UID_11_1_1_all.bmp", ALL), ("UID_11_1_2_hem.bmp", REVIEW)] {
        folders.drop_capture(name, &cell_of(patches, 1));
    }
    let daemon = Process::serve(&folders);
    let server = format!("http://{}", daemon.address);
    let run = async |words: &[&str]| leukd(&[words, &["--server", server.as_str()]].concat()).await;
    let ask = async |words: &[&str]| {
        let output = run(words).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        stdout(&output)
    };
    until("results", async || {
        let shown = ask(&["results", "--json"]).await;
        (shown.lines().count() == 2).then_some(())
    })
    .await;
    let shown = ask(&["specimens"]).await;
    assert!(shown.contains("SIGN-OFF") && shown.contains("open, 1 to review"), "{shown}");
    let waits = run(&["sign", "11", "--signer", "Ada"]).await;
    assert!(!waits.status.success() && stderr(&waits).contains("1 cell waits"), "{waits:?}");
    let doubtful = ask(&["results", "--json", "--decision", "review"]).await;
    let doubtful: serde_json::Value = serde_json::from_str(doubtful.trim()).unwrap();
    let id = doubtful["result_id"].as_str().unwrap();
    ask(&["review", id, "--label", "hem", "--reviewer", "Ada"]).await;

    let said = ask(&["sign", "11", "--signer", "Ada"]).await;
    assert!(said.contains("signature 4: Ada signs specimen 11"), "{said}");
    assert!(said.contains("sign-off: signed by Ada ("), "{said}");
    let shown = ask(&["specimens", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&json["specimen"], &json["sign_off"]["state"]),
        (&"11".into(), &"STATE_SIGNED".into())
    );
    let shown = ask(&["specimen", "11"]).await;
    assert!(shown.contains("sign-off: signed by Ada"), "{shown}");
    let words = ["sign", "11", "--signer", "Bob", "--withdraw", "--of", "Ada", "--reason", "why"];
    let said = ask(&[words.as_slice(), &["--json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["signature"]["act"], "ACT_WITHDRAWN");
    assert_eq!(json["sign_off"]["state"], "STATE_WAITING");
    let shown = ask(&["tail", "--once"]).await;
    assert!(shown.contains("Ada signs specimen 11"), "{shown}");
    assert!(shown.contains("Bob withdraws the signature of Ada from specimen 11: why"), "{shown}");
    let shown = ask(&["tail", "--once", "--json"]).await;
    assert_eq!(shown.lines().filter(|line| line.contains("\"signature\"")).count(), 2, "{shown}");
    let nothing = run(&["sign", "12", "--signer", "Ada"]).await;
    assert_eq!(nothing.status.code(), Some(66), "{}", stderr(&nothing));
    for bad in [["sign", "11", "--of", "Ada"], ["sign", "11", "--as-of", "x"]] {
        assert_eq!(leukd(&bad).await.status.code(), Some(64), "{bad:?}");
    }
}
