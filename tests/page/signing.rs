//! The sign-off of a specimen over HTTP, as the page's module asks.

use serde_json::{Value, json};

use crate::http::Client;
use crate::support::{ALL, Folders, HEM, REVIEW, cell_of};
use crate::{start, start_on};

fn id(number: u32) -> String {
    format!("0193a5f0-0000-7000-8000-{number:012}")
}

fn by(signer: &str, number: u32) -> Value {
    json!({"specimen": "7", "act": "signed", "signer": signer, "signature_id": id(number)})
}

async fn review(client: &Client, result_id: &str, label: &str, number: u32) {
    let review = json!({"result_id": result_id, "label": label, "reviewer": "Ada",
                        "review_id": id(number)});
    assert_eq!(client.post("/api/reviews", &review).await.status, 200);
}

/// As the two screens say it alike.
async fn stands(client: &Client) -> Value {
    let own = client.get("/api/specimen?specimen=7").await.json()["sign_off"].clone();
    let listed = client.get("/api/specimens").await.json();
    assert_eq!(listed["specimens"][0]["figures"]["sign_off"], own);
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_says_what_is_missing_who_signed_and_what_changed() {
    let (harness, client) = start().await;
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(REVIEW, 1));
    let result = harness.wait_results(1).await.remove(0);
    let own = stands(&client).await;
    assert_eq!((&own["state"], &own["to_review"]), (&json!("open"), &json!(1)));
    assert_eq!(own["first"], json!([result.sequence]));
    let refused = client.post("/api/signatures", &by("Ada", 1)).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "CELLS_WAIT"));
    assert!(refused.text().contains("1 cell waits"), "{}", refused.text());

    review(&client, &result.result_id, "all", 2).await;
    let seen = stands(&client).await;
    assert_eq!(seen["state"], "waiting");
    let mut events = client.stream(None).await;
    events.next_of("hello").await;
    let mut request = by("Ada", 3);
    request["as_of"] = seen["as_of"].clone();
    let answer = client.post("/api/signatures", &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["sign_off"]["state"], "signed");
    events.next_of("signature").await;
    let again = client.post("/api/signatures", &request).await.json();
    assert_eq!((&again["known"], &again["signature"]), (&json!(true), &answer.json()["signature"]));
    let own = stands(&client).await;
    let signature = &own["signatures"][0];
    assert_eq!((&signature["signer"], &signature["counts"]), (&json!("Ada"), &json!(true)));
    assert!(signature["at"].as_i64().unwrap() > 1_700_000_000_000, "{signature}");

    harness.drop_capture("UID_7_1_2_x.bmp", &cell_of(ALL, 2));
    harness.wait_results(2).await;
    review(&client, &result.result_id, "hem", 4).await;
    let own = stands(&client).await;
    assert_eq!(
        (&own["state"], &own["signatures"][0]["counts"]),
        (&json!("changed"), &json!(false))
    );
    assert_eq!((&own["since"]["results"], &own["since"]["reviews"]), (&json!(1), &json!(1)));
    request["signature_id"] = id(5).into();
    let refused = client.post("/api/signatures", &request).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "SPECIMEN_CHANGED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_and_a_withdrawal_by_another_takes_a_reason() {
    let (harness, client) =
        start_on(Folders::new(), |settings| settings.specimen.sign_off_readers = 2).await;
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(HEM, 1));
    harness.wait_results(1).await;
    let first = client.post("/api/signatures", &by("Ada", 1)).await;
    assert_eq!(first.json()["sign_off"]["state"], "waiting");
    let same = client.post("/api/signatures", &by("ada ", 2)).await;
    assert_eq!((same.status, same.code().as_str()), (409, "SAME_PERSON"));
    let second = client.post("/api/signatures", &by("Bob", 3)).await;
    assert_eq!(second.json()["sign_off"]["state"], "signed");
    let mut back = json!({"specimen": "7", "act": "withdrawn", "signer": "Ada", "by": "Bob",
                          "signature_id": id(4)});
    let refused = client.post("/api/signatures", &back).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "BAD_FIELD"));
    back["reason"] = "another slide".into();
    let answer = client.post("/api/signatures", &back).await.json();
    assert_eq!(answer["sign_off"]["state"], "waiting");
    assert_eq!(answer["signature"]["reason"], "another slide");
    for (field, value, status, code) in [
        ("specimen", json!("nothing"), 404, "NO_SPECIMEN"),
        ("specimen", json!(""), 400, "BAD_FIELD"),
        ("act", json!("approved"), 400, "BAD_FIELD"),
        ("signer", json!(" "), 400, "BAD_FIELD"),
        ("signer", json!("Ada\u{200b}"), 400, "BAD_FIELD"),
        ("by", json!("Mallory"), 400, "BAD_FIELD"),
        ("reason", json!("another slide"), 400, "BAD_FIELD"),
        // Of another journal: nobody can have seen what is not stored yet.
        ("as_of", json!(1_u64 << 40), 409, "SPECIMEN_CHANGED"),
        ("signature_id", json!("7"), 400, "BAD_FIELD"),
        ("other", json!(1), 400, "BAD_FIELD"),
    ] {
        let mut bad = by("Eve", 9);
        bad[field] = value;
        let refused = client.post("/api/signatures", &bad).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{bad}");
    }
}
