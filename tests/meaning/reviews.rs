//! What people say of results, as clients meet it.

use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::refusal::{assert_field, info, reason};
use crate::support::{ALL, Folders, HEM, Harness, REVIEW, cell_of, next, until};
use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::standing::State;
use leukd::grpc::proto::submit_review_request::Of;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Cursor, Decision, Filter, get_result_request};
use tonic::{Code, Status, Streaming};

fn says(of: Of, label: &str) -> proto::SubmitReviewRequest {
    proto::SubmitReviewRequest {
        of: Some(of),
        label: label.to_owned(),
        reviewer: "Dr. Doe".to_owned(),
        note: "a note".to_owned(),
        review_id: String::new(),
        blind: false,
    }
}

async fn submit(
    harness: &Harness,
    request: proto::SubmitReviewRequest,
) -> Result<proto::SubmitReviewResponse, Status> {
    Ok(harness.reviews().submit_review(request).await?.into_inner())
}

async fn reviewed(harness: &Harness, sequence: u64, label: &str) -> proto::Review {
    let answer = submit(harness, says(Of::Sequence(sequence), label)).await.unwrap();
    assert!(!answer.reused);
    answer.review.unwrap()
}

async fn result(harness: &Harness, sequence: u64) -> proto::Result {
    let by = Some(get_result_request::By::Sequence(sequence));
    let answer = harness.results().get_result(proto::GetResultRequest { by }).await.unwrap();
    answer.into_inner().result.unwrap()
}

/// The next `count` results and reviews; heartbeats pass.
async fn events(stream: &mut Streaming<proto::Event>, count: usize) -> Vec<Kind> {
    let mut events = Vec::new();
    while events.len() < count {
        match next(stream).await.kind.unwrap() {
            Kind::Heartbeat(_) => {}
            kind => events.push(kind),
        }
    }
    events
}

fn sequences(events: &[Kind]) -> Vec<u64> {
    let sequence = |kind: &Kind| match kind {
        Kind::Result(result) => result.sequence,
        Kind::Review(review) => review.sequence,
        other => panic!("{other:?}"),
    };
    events.iter().map(sequence).collect()
}

async fn listed(harness: &Harness, request: proto::ListReviewsRequest) -> Vec<proto::Review> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListReviewsRequest { page_token, ..request.clone() };
        let page = harness.reviews().list_reviews(request).await.unwrap().into_inner();
        found.extend(page.reviews);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_an_event_of_its_own_for_every_subscriber_and_after_a_restart() {
    let harness = Harness::start().await;
    for seed in 0..3 {
        harness.classify(cell_of(ALL, seed)).await;
    }
    let before = result(&harness, 2).await;
    let (hello, mut live) = harness.subscribe(Start::Earliest(())).await;
    assert_eq!(sequences(&events(&mut live, 3).await), [1, 2, 3]);
    let review = reviewed(&harness, 2, "hem").await;
    assert_eq!((review.sequence, review.result_sequence), (4, 2));
    assert_eq!((&review.result_id, &review.epoch), (&before.result_id, &before.epoch));
    assert_eq!((review.label.as_str(), review.confirms), ("hem", false));
    assert_eq!((review.reviewer.as_str(), review.note.as_str()), ("Dr. Doe", "a note"));
    assert_eq!(review.suggested_decision(), Decision::All);
    assert_eq!(review.suggested_label, "all");
    assert!((review.suggested_probability - before.probabilities[0].probability).abs() < 1e-15);
    assert!(review.reviewed_at.is_some());
    assert_eq!(events(&mut live, 1).await, [Kind::Review(review.clone())]);
    harness.classify(cell_of(ALL, 3)).await;
    let told = events(&mut live, 1).await;
    assert_eq!(sequences(&told), [5]);
    // The result itself is what it was.
    let now = result(&harness, 2).await;
    assert_eq!(proto::Result { standing: None, ..now }, proto::Result { standing: None, ..before });

    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |_| {}).await;
    let after = Cursor { epoch: hello.epoch, sequence: 2 };
    let (_, mut resumed) = harness.subscribe(Start::After(after)).await;
    let again = events(&mut resumed, 3).await;
    assert_eq!(sequences(&again), [3, 4, 5]);
    assert_eq!(again[1], Kind::Review(review));
    assert_eq!(again[2], told[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_lets_a_review_through_where_it_lets_its_result_through() {
    let harness = Harness::start().await;
    for (seed, (patches, specimen)) in (0..).zip([(ALL, "S"), (HEM, "S"), (ALL, "T")]) {
        let request = proto::ClassifyRequest {
            image: cell_of(patches, seed),
            specimen: specimen.to_owned(),
            ..Default::default()
        };
        harness.classifier().classify(request).await.unwrap();
    }
    for sequence in 1..=3 {
        reviewed(&harness, sequence, "other").await;
    }
    let specimen = |specimen: &str| Filter { specimen: specimen.to_owned(), ..Default::default() };
    for (filter, expected) in [
        (specimen("S"), vec![1, 2, 4, 5]),
        (specimen("T"), vec![3, 6]),
        (Filter { label: "hem".to_owned(), ..Default::default() }, vec![2, 5]),
        (Filter { decisions: vec![Decision::All.into()], ..specimen("S") }, vec![1, 4]),
    ] {
        let start = Some(Start::Earliest(()));
        let request = proto::SubscribeRequest { start, filter: Some(filter) };
        let mut stream = harness.results().subscribe(request).await.unwrap().into_inner();
        assert!(matches!(next(&mut stream).await.kind, Some(Kind::Hello(_))));
        assert_eq!(sequences(&events(&mut stream, expected.len()).await), expected);
        // And no more: the heartbeat that follows history has passed all.
        let Some(Kind::Heartbeat(beat)) = next(&mut stream).await.kind else { panic!("no end") };
        assert_eq!(beat.sequence, 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_and_listings_tell_how_a_result_stands_and_streams_do_not() {
    let harness = Harness::start().await;
    for (seed, patches) in (0..).zip([ALL, HEM, REVIEW]) {
        assert!(harness.classify(cell_of(patches, seed)).await.standing.is_none());
    }
    let standing = result(&harness, 1).await.standing.unwrap();
    assert_eq!(standing, proto::Standing { state: State::Suggested.into(), ..Default::default() });
    reviewed(&harness, 1, "other").await;
    let last = reviewed(&harness, 1, "all").await;
    let expected = proto::Standing {
        state: State::Confirmed.into(),
        label: "all".to_owned(),
        reviewer: "Dr. Doe".to_owned(),
        reviewed_at: last.reviewed_at,
        reviews: 2,
    };
    assert_eq!(result(&harness, 1).await.standing, Some(expected.clone()));
    reviewed(&harness, 2, "all").await;
    let unsure = result(&harness, 3).await;
    reviewed(&harness, 3, &unsure.label).await;

    let page = proto::ListResultsRequest::default();
    let page = harness.results().list_results(page).await.unwrap().into_inner().results;
    let states: Vec<_> =
        page.iter().map(|result| result.standing.as_ref().unwrap().state()).collect();
    assert_eq!(states, [State::Confirmed, State::Corrected, State::Confirmed]);
    assert_eq!(page[0].standing, Some(expected));
    for (state, expected) in [
        (State::Unspecified, vec![1, 2, 3]),
        (State::Suggested, vec![]),
        (State::Confirmed, vec![1, 3]),
        (State::Corrected, vec![2]),
    ] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = proto::ListResultsRequest {
                standing: state.into(),
                page_size: 1,
                page_token: page_token.clone(),
                ..Default::default()
            };
            let page = harness.results().list_results(request).await.unwrap().into_inner();
            found.extend(page.results.iter().map(|result| result.sequence));
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        assert_eq!(found, expected, "{state:?}");
        // A token is of its own listing alone.
        if !page_token.is_empty() {
            let request = proto::ListResultsRequest {
                standing: State::Suggested.into(),
                page_token,
                ..Default::default()
            };
            let refused = harness.results().list_results(request).await.unwrap_err();
            assert_field(&refused, "page_token");
        }
    }
    let odd = proto::ListResultsRequest { standing: 77, ..Default::default() };
    assert_field(&harness.results().list_results(odd).await.unwrap_err(), "standing");

    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    for kind in events(&mut stream, 7).await {
        if let Kind::Result(result) = kind {
            assert!(result.standing.is_none(), "it would be out of date");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_capture_is_confirmed_by_other_and_corrected_by_a_class() {
    let harness = Harness::start().await;
    harness.drop_capture("broken.bmp", &cell_of(ALL, 1)[..2000]);
    harness.wait_results(1).await;
    assert!(reviewed(&harness, 1, "other").await.confirms);
    assert_eq!(result(&harness, 1).await.standing.unwrap().state(), State::Confirmed);
    let review = reviewed(&harness, 1, "all").await;
    assert_eq!((review.confirms, review.suggested_label.as_str()), (false, ""));
    assert_eq!(review.path.unwrap().path, "broken.bmp");
    assert_eq!(result(&harness, 1).await.standing.unwrap().state(), State::Corrected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_cannot_be_is_refused_and_says_why() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.wait_results(1).await;
    harness.drop_capture("a.bmp", &cell_of(HEM, 2));
    harness.wait_results(2).await;
    let good = says(Of::Sequence(2), "hem");
    type Change = fn(&mut proto::SubmitReviewRequest);
    let changes: [(Change, &str); 10] = [
        (|r| r.of = None, "of"),
        (|r| r.of = Some(Of::Sequence(0)), "of"),
        (|r| r.of = Some(Of::ResultId(String::new())), "of"),
        (|r| r.label = String::new(), "label"),
        (|r| r.label = "review".to_owned(), "label"),
        (|r| r.reviewer = String::new(), "reviewer"),
        (|r| r.reviewer = " \t".to_owned(), "reviewer"),
        (|r| r.reviewer = "é".repeat(65), "reviewer"),
        (|r| r.note = "n".repeat(4097), "note"),
        (|r| r.review_id = "17".to_owned(), "review_id"),
    ];
    for (change, field) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_field(&submit(&harness, bad).await.unwrap_err(), field);
    }
    for nothing in [Of::Sequence(3), Of::Sequence(u64::MAX >> 1), Of::ResultId("x".to_owned())] {
        let status = submit(&harness, says(nothing, "all")).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::NotFound, "NO_RESULT".to_owned()));
    }
    let status = submit(&harness, says(Of::Sequence(1), "all")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let (reason, metadata) = info(&status);
    assert_eq!((reason.as_str(), metadata["superseded_by"].as_str()), ("SUPERSEDED", "2"));
    // Nothing of all that was stored, and the longest of everything is taken.
    let longest =
        proto::SubmitReviewRequest { reviewer: "é".repeat(64), note: "n".repeat(4096), ..good };
    assert_eq!(submit(&harness, longest).await.unwrap().review.unwrap().sequence, 3);
    // Too long to be read at all is no image that is too large.
    let note = "n".repeat(2 << 20);
    let beyond = proto::SubmitReviewRequest { note, ..says(Of::Sequence(3), "all") };
    let status = submit(&harness, beyond).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(info(&status).0, "MESSAGE_TOO_LONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_answered_with_the_stored_review_and_an_id_is_of_one_review_alone() {
    let harness = Harness::start().await;
    harness.classify(cell_of(ALL, 1)).await;
    let request = proto::SubmitReviewRequest {
        review_id: "0194F3C2-7A10-7CC0-8000-000000000001".to_owned(),
        ..says(Of::Sequence(1), "all")
    };
    let first = submit(&harness, request.clone()).await.unwrap();
    assert!(!first.reused);
    let id = request.review_id.to_lowercase();
    assert_eq!(first.review.as_ref().unwrap().review_id, id);
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |_| {}).await;
    for review_id in [request.review_id.clone(), id] {
        let again = submit(&harness, proto::SubmitReviewRequest { review_id, ..request.clone() });
        let again = again.await.unwrap();
        assert!(again.reused);
        assert_eq!(again.review, first.review);
    }
    let other = proto::SubmitReviewRequest { label: "hem".to_owned(), ..request };
    let status = submit(&harness, other).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    assert_eq!(reason(&status), "REVIEW_ID_TAKEN");
    assert_eq!(listed(&harness, proto::ListReviewsRequest::default()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_of_many_clients_at_once_leave_no_hole_among_results() {
    let harness = Harness::start().await;
    harness.classify(cell_of(ALL, 0)).await;
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let reviews = (0..24).map(|_| reviewed(&harness, 1, "hem"));
    let results = (1..25).map(|seed| harness.classify(cell_of(HEM, seed)));
    let (reviews, results) = futures_util::future::join(
        futures_util::future::join_all(reviews),
        futures_util::future::join_all(results),
    )
    .await;
    let told = events(&mut stream, 49).await;
    assert_eq!(sequences(&told), (1..=49).collect::<Vec<_>>());
    for review in reviews {
        let place = usize::try_from(review.sequence).unwrap() - 1;
        assert_eq!(told[place], Kind::Review(review));
    }
    for result in results {
        let place = usize::try_from(result.sequence).unwrap() - 1;
        assert_eq!(told[place], Kind::Result(result));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_are_listed_page_by_page_by_what_they_are_about() {
    let harness = Harness::start().await;
    for (seed, specimen) in (0..).zip(["S", "T"]) {
        let request = proto::ClassifyRequest {
            image: cell_of(ALL, seed),
            specimen: specimen.to_owned(),
            ..Default::default()
        };
        harness.classifier().classify(request).await.unwrap();
    }
    for number in 0..7 {
        let label = if number % 3 == 0 { "hem" } else { "all" };
        let reviewer = if number % 2 == 0 { "one" } else { "other" }.to_owned();
        let request = says(Of::Sequence(1 + number % 2), label);
        submit(&harness, proto::SubmitReviewRequest { reviewer, ..request }).await.unwrap();
    }
    let all = proto::ListReviewsRequest::default();
    let id = result(&harness, 2).await.result_id;
    for (request, expected) in [
        (all.clone(), vec![3, 4, 5, 6, 7, 8, 9]),
        (
            proto::ListReviewsRequest { newest_first: true, ..all.clone() },
            vec![9, 8, 7, 6, 5, 4, 3],
        ),
        (proto::ListReviewsRequest { result_sequence: 1, ..all.clone() }, vec![3, 5, 7, 9]),
        (proto::ListReviewsRequest { result_id: id, ..all.clone() }, vec![4, 6, 8]),
        (proto::ListReviewsRequest { specimen: "T".to_owned(), ..all.clone() }, vec![4, 6, 8]),
        (proto::ListReviewsRequest { reviewer: "one".to_owned(), ..all.clone() }, vec![3, 5, 7, 9]),
        (proto::ListReviewsRequest { corrections: true, ..all.clone() }, vec![3, 6, 9]),
        (
            proto::ListReviewsRequest { corrections: true, result_sequence: 1, ..all.clone() },
            vec![3, 9],
        ),
        (proto::ListReviewsRequest { reviewer: "nobody".to_owned(), ..all.clone() }, vec![]),
    ] {
        for page_size in [0, 1, 2, 1000] {
            let request = proto::ListReviewsRequest { page_size, ..request.clone() };
            let found = listed(&harness, request.clone()).await;
            let found: Vec<_> = found.iter().map(|review| review.sequence).collect();
            assert_eq!(found, expected, "{request:?}");
        }
    }
    let large = proto::ListReviewsRequest { page_size: 1001, ..all.clone() };
    assert_field(&harness.reviews().list_reviews(large).await.unwrap_err(), "page_size");
    let long = proto::ListReviewsRequest { reviewer: "r".repeat(257), ..all };
    assert_field(&harness.reviews().list_reviews(long).await.unwrap_err(), "reviewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reviews_lists_and_follows() {
    let folders = Folders::new();
    for (name, patches) in [("UID_11_1_1_all.bmp", ALL), ("UID_11_1_2_hem.bmp", HEM)] {
        folders.drop_capture(name, &cell_of(patches, 1));
    }
    let daemon = Process::serve(&folders);
    let server = format!("http://{}", daemon.address);
    let ask = async |arguments: &[&str]| {
        let output = leukd(&[arguments, &["--server", server.as_str()]].concat()).await;
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    let mut results = daemon.results().await;
    let stored = until("results", async || {
        let page = results.list_results(proto::ListResultsRequest::default()).await.unwrap();
        let found = page.into_inner().results;
        (found.len() == 2).then_some(found)
    })
    .await;
    let blast = stored.iter().find(|result| result.decision() == Decision::All).unwrap();
    let normal = stored.iter().find(|result| result.decision() == Decision::Hem).unwrap();

    let sequence = blast.sequence.to_string();
    let note = ["review", &sequence, "--label", "hem", "--reviewer", "Doe", "--note", "small"];
    let said = ask(&note).await;
    assert!(said.contains("Doe says hem of result") && said.contains("corrects all"), "{said}");
    // Without a name it is the login name, where there is one.
    let login = ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let mut words = vec!["review", &normal.result_id, "--label", "hem", "--json"];
    if login.is_none() {
        words.extend(["--reviewer", "nobody"]);
    }
    let said = ask(&words).await;
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["review"]["confirms"], true);
    assert_eq!(json["review"]["sequence"], "4");
    assert_eq!(json["review"]["reviewer"], login.as_deref().unwrap_or("nobody"));

    let shown = ask(&["results", "--corrected", "--json"]).await;
    assert_eq!(shown.lines().count(), 1);
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(json["result_id"], blast.result_id);
    assert_eq!(json["standing"]["state"], "STATE_CORRECTED");
    assert_eq!(json["standing"]["label"], "hem");
    let shown = ask(&["results"]).await;
    assert!(shown.contains("corrected: hem by Doe") && shown.contains("confirmed: hem"), "{shown}");

    let shown = ask(&["reviews", "--json"]).await;
    assert_eq!(shown.lines().count(), 2);
    let shown = ask(&["reviews", "--corrections"]).await;
    assert!(shown.contains("Doe") && shown.contains("small"), "{shown}");
    assert_eq!(shown.lines().count(), 2, "{shown}");

    let shown = ask(&["tail", "--once"]).await;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    let wanted = format!("corrects all of result {sequence}: hem by Doe  small");
    assert!(shown.contains(&wanted), "{shown}");
    let shown = ask(&["tail", "--once", "--json"]).await;
    assert_eq!(shown.lines().filter(|line| line.contains("\"review\"")).count(), 2, "{shown}");

    let nothing = ["review", "99", "--label", "all", "--reviewer", "x", "--server", &server];
    let output = leukd(&nothing).await;
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
    for bad in [["review", "x", "--label", "all"], ["review", "1", "--label", "blast"]] {
        assert_eq!(leukd(&bad).await.status.code(), Some(64));
    }
}
