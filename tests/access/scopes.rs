//! Which scope each method takes.

use std::collections::BTreeMap;

use leukd::access::Scope;
use leukd::grpc::proto;
use prost_reflect::DescriptorPool;
use tonic::Code;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::support::keys::{showing, token};
use crate::support::refusal::{info, reason};
use crate::support::{ALL, Harness, PATIENCE, cell_of};
use crate::{guarded, known};

/// Every method that the daemon serves, by its path.
fn methods() -> Vec<String> {
    let mut pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    for more in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(more).unwrap();
    }
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}

/// Calls a method with an empty message. OK stands for every answer of the method itself, a refused
/// field too.
async fn call(channel: Channel, path: &str, token: &str) -> (Code, String) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let request = showing(token, ());
    let path = path.parse().unwrap();
    let answered = client.server_streaming(request, path, ProstCodec::<(), ()>::default());
    let answered = match tokio::time::timeout(PATIENCE, answered).await.unwrap() {
        Ok(stream) => {
            let mut stream = stream.into_inner();
            tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().map(|_| ())
        }
        Err(status) => Err(status),
    };
    match answered {
        Err(status)
            if [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented]
                .contains(&status.code()) =>
        {
            (status.code(), reason(&status))
        }
        _ => (Code::Ok, String::new()),
    }
}

/// What each method takes, as the contract's comments say. Written out here once more on purpose.
fn scope_of(path: &str) -> Option<Scope> {
    match path.rsplit('/').next().unwrap() {
        "Classify" | "ClassifyField" | "ClassifyStream" => Some(Scope::Classify),
        "SubmitReview" | "SignSpecimen" | "WithdrawSignature" => Some(Scope::Review),
        "ReloadModel" | "GetLogLevel" | "SetLogLevel" => Some(Scope::Admin),
        "Check" | "Watch" if path.starts_with("/grpc.health.v1.Health/") => None,
        _ => Some(Scope::Read),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_takes_its_scope_and_no_other() {
    let (harness, file) = guarded(|_, _| {}).await;
    let mut tokens = BTreeMap::new();
    for (name, scopes) in [
        ("classify", vec![Scope::Classify]),
        ("read", vec![Scope::Read]),
        ("admin", vec![Scope::Admin]),
        ("review", vec![Scope::Review]),
        ("nothing", vec![]),
        ("all", Scope::EVERY.to_vec()),
    ] {
        let text = token(&file, name, &scopes);
        tokens.insert(name, (text, scopes));
    }
    known(&harness, &tokens["all"].0).await;
    let methods = methods();
    assert!(methods.len() >= 17, "{methods:?}");
    for path in &methods {
        let need = scope_of(path);
        for (name, (token, scopes)) in &tokens {
            let allowed = need.is_none_or(|need| scopes.contains(&need));
            let expected =
                if allowed { (Code::Ok, "") } else { (Code::PermissionDenied, "MISSING_SCOPE") };
            let (code, reason) = call(harness.channel(), path, token).await;
            assert_eq!((code, reason.as_str()), expected, "{name} calls {path}");
        }
        let nobody = call(harness.channel(), path, "").await;
        let stranger = call(harness.channel(), path, "leukd_0123456789").await;
        if need.is_some() {
            assert_eq!(nobody, (Code::Unauthenticated, "NO_CREDENTIAL".to_owned()), "{path}");
        } else {
            assert_eq!(nobody.0, Code::Ok, "{path}");
        }
        assert_eq!(stranger, (Code::Unauthenticated, "UNKNOWN_TOKEN".to_owned()), "{path}");
    }
    let unknown = call(harness.channel(), "/leukd.v1.Control/Shutdown", &tokens["all"].0).await;
    assert_eq!(unknown, (Code::Unimplemented, "NO_METHOD".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_told_with_what_is_missing() {
    let (harness, file) = guarded(|_, _| {}).await;
    let reader = token(&file, "reader", &[Scope::Read]);
    known(&harness, &reader).await;
    let request = showing(&reader, proto::ReloadModelRequest::default());
    let status = harness.control().reload_model(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let (reason, metadata) = info(&status);
    assert_eq!(reason, "MISSING_SCOPE");
    assert_eq!(
        (metadata["scope"].as_str(), metadata["client"].as_str()),
        ("admin", "token:reader")
    );
    assert!(
        status.message().contains("token:reader lacks the scope admin"),
        "{}",
        status.message()
    );
    assert!(!status.message().contains(&reader));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_tells_which_client_sent_it_whatever_reviewer_that_names() {
    let (harness, file) = guarded(|_, _| {}).await;
    let microscope = token(&file, "microscope", &[Scope::Classify]);
    let reader = token(&file, "station-2", &[Scope::Review]);
    known(&harness, &reader).await;
    let image = proto::ClassifyRequest { image: cell_of(ALL, 1), ..Default::default() };
    harness.classifier().classify(showing(&microscope, image)).await.unwrap();
    let review = proto::SubmitReviewRequest {
        of: Some(proto::submit_review_request::Of::Sequence(1)),
        label: "all".to_owned(),
        reviewer: "token:admin".to_owned(),
        ..Default::default()
    };
    let answer = harness.reviews().submit_review(showing(&reader, review)).await.unwrap();
    let review = answer.into_inner().review.unwrap();
    assert_eq!(
        (review.client.as_str(), review.reviewer.as_str()),
        ("token:station-2", "token:admin")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_access_control_whoever_can_connect_may_do_everything() {
    let harness = Harness::start().await;
    for path in methods() {
        assert_eq!(call(harness.channel(), &path, "").await.0, Code::Ok, "{path}");
        // A client that is ready for tokens works already.
        assert_eq!(call(harness.channel(), &path, "leukd_any").await.0, Code::Ok, "{path}");
    }
}
