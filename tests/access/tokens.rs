//! Tokens that come, go and end; who asked is kept, who was refused too.

use leukd::access::Scope;
use leukd::clock::Clock;
use leukd::grpc::proto;
use leukd::result::Timestamp;
use tonic::Code;

use crate::support::keys::{showing, token, token_until};
use crate::support::refusal::reason;
use crate::support::{self, ALL, Harness, cell_of, in_time, until};
use crate::{guarded, known, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_within_seconds_and_its_streams_end() {
    let (harness, file) = guarded(|_, _| {}).await;
    let (gone, stays) =
        (token(&file, "gone", &[Scope::Read]), token(&file, "stays", &Scope::EVERY));
    known(&harness, &stays).await;
    let mut doomed = subscribe(harness.channel(), &gone).await.unwrap();
    let mut other = subscribe(harness.channel(), &stays).await.unwrap();
    leukd::access::edit::revoke(&file, "gone").unwrap();
    let status = support::end(&mut doomed).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNKNOWN_TOKEN"));
    let again = subscribe(harness.channel(), &gone).await.unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated);
    // Whoever is not meant notices nothing.
    let image = proto::ClassifyRequest { image: cell_of(ALL, 1), ..Default::default() };
    harness.classifier().classify(showing(&stays, image)).await.unwrap();
    assert_eq!(support::next_results(&mut other, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_at_its_time_and_its_streams_with_it() {
    let (harness, file) = guarded(|_, _| {}).await;
    let now = Clock::system().wall();
    let soon = Timestamp(now.0 + 5_000);
    // The one that is waited for comes last.
    let ended = token_until(&file, "ended", &[Scope::Read], Some(Timestamp(now.0 - 1_000)));
    let ends = token_until(&file, "ends", &[Scope::Read], Some(soon));
    known(&harness, &ends).await;
    let mut stream = subscribe(harness.channel(), &ends).await.unwrap();
    let status = subscribe(harness.channel(), &ended).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "EXPIRED_TOKEN"));
    let status = support::end(&mut stream).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "EXPIRED_TOKEN"));
    assert!(Clock::system().wall() >= Timestamp(soon.0 / 1000 * 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_file_that_does_not_work_changes_nothing_and_is_told() {
    let (harness, file) = guarded(|_, _| {}).await;
    let reader = token(&file, "reader", &[Scope::Read]);
    known(&harness, &reader).await;
    let good = std::fs::read_to_string(&file).unwrap();
    let status = async || {
        let request = showing(&reader, proto::GetStatusRequest {});
        harness.control().get_status(request).await.unwrap().into_inner().degraded
    };
    assert!(status().await.is_empty());
    std::fs::write(&file, format!("{good}\n[[token]]\nname = 3\n")).unwrap();
    let degraded = until("a degradation", async || {
        let degraded = status().await;
        (!degraded.is_empty()).then_some(degraded)
    })
    .await;
    assert_eq!(degraded[0].component, "access");
    assert!(degraded[0].message.contains("access.toml: line "), "{degraded:?}");
    std::fs::write(&file, &good).unwrap();
    until("the recovery", async || status().await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_tells_who_asked_for_it() {
    let (harness, file) = guarded(|_, _| {}).await;
    let lims = token(&file, "lims", &Scope::EVERY);
    known(&harness, &lims).await;
    let request = || proto::ClassifyRequest { image: cell_of(ALL, 1), ..Default::default() };
    let one = harness.classifier().classify(showing(&lims, request())).await.unwrap();
    let client_of = |result: proto::Result| {
        let source = result.capture.unwrap().source.unwrap().kind.unwrap();
        let proto::source::Kind::Rpc(source) = source else { panic!("{source:?}") };
        source.client
    };
    assert_eq!(client_of(one.into_inner().result.unwrap()), "token:lims");
    let more = proto::ClassifyRequest { image: cell_of(ALL, 2), ..Default::default() };
    let stream = showing(&lims, tokio_stream::iter([more]));
    let mut answers = harness.classifier().classify_stream(stream).await.unwrap().into_inner();
    let answer = in_time("an answer", answers.message()).await.unwrap().unwrap();
    let answer = answer.outcome.unwrap();
    let proto::classify_stream_response::Outcome::Classified(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(client_of(answer.result.unwrap()), "token:lims");
    let open = Harness::start().await;
    assert_eq!(client_of(open.classify(cell_of(ALL, 1)).await), "", "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_login_failures_is_a_few_records_of_the_audit_chain() {
    let (harness, file) = guarded(|_, _| {}).await;
    let reader = token(&file, "reader", &[Scope::Read]);
    known(&harness, &reader).await;
    for number in 0..300 {
        let guess = format!("leukd_guess-{number}");
        let guessed =
            harness.control().get_status(showing(&guess, proto::GetStatusRequest {})).await;
        assert_eq!(guessed.unwrap_err().code(), Code::Unauthenticated);
        let reload = showing(&reader, proto::ReloadModelRequest::default());
        let refused = harness.control().reload_model(reload).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    }
    let journal = harness.folders.state.join("journal.sqlite");
    let records = || {
        let journal = rusqlite::Connection::open(&journal).unwrap();
        let mut asked = journal
            .prepare("SELECT record FROM audit WHERE kind = 'login-failure' ORDER BY number")
            .unwrap();
        let records = asked.query_map([], |row| row.get::<_, String>(0)).unwrap();
        records
            .map(|record| serde_json::from_str(&record.unwrap()).unwrap())
            .collect::<Vec<serde_json::Value>>()
    };
    let of = |records: &[serde_json::Value], reason: &str| {
        let about =
            |record: &&serde_json::Value| record["reason"].as_str().unwrap().starts_with(reason);
        records.iter().filter(about).cloned().collect::<Vec<_>>()
    };
    let stored = until("the records", async || {
        let records = records();
        (!of(&records, "UNKNOWN_TOKEN").is_empty() && !of(&records, "MISSING_SCOPE").is_empty())
            .then_some(records)
    })
    .await;
    // Two may be: a minute may pass while this runs.
    assert!(of(&stored, "UNKNOWN_TOKEN").len() <= 2, "{stored:#?}");
    let scope = &of(&stored, "MISSING_SCOPE")[0];
    assert_eq!(scope["peer"], "loopback");
    assert_eq!(scope["client"], "token:reader");
    assert_eq!(scope["count"], 1);
    let text = format!("{stored:?}");
    assert!(!text.contains("guess") && !text.contains(&reader), "no secret is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_all_addresses_of_one_machine_are_one_kind() {
    let (harness, _) = guarded(|_, _| {}).await;
    let url = format!("http://{}", harness.daemon().address());
    for number in 1..40_u8 {
        let from = std::net::IpAddr::from([127, 0, number, 1]);
        let endpoint = tonic::transport::Endpoint::from_shared(url.clone()).unwrap();
        let channel = endpoint.local_address(Some(from)).connect().await.unwrap();
        let mut control = proto::control_client::ControlClient::new(channel);
        let guessed = control.get_status(showing("leukd_guess", proto::GetStatusRequest {})).await;
        assert_eq!(guessed.unwrap_err().code(), Code::Unauthenticated);
    }
    let folders = harness.stop().await;
    let journal = rusqlite::Connection::open(folders.state.join("journal.sqlite")).unwrap();
    let mut asked = journal
        .prepare("SELECT record FROM audit WHERE kind = 'login-failure' ORDER BY number")
        .unwrap();
    let records = asked.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let records: Vec<serde_json::Value> =
        records.map(|record| serde_json::from_str(&record.unwrap()).unwrap()).collect();
    // The first at once, the others together; a minute may pass meanwhile.
    assert!((1..=3).contains(&records.len()), "{records:#?}");
    assert!(records.iter().all(|record| record["peer"] == "loopback"), "{records:#?}");
    let count: u64 = records.iter().map(|record| record["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 39);
}
