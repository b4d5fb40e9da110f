//! Blind first: the suggestion is hidden until the reader has answered, and agreement is counted.

use serde_json::{Value, json};

use crate::http::Client;
use crate::support::{Folders, REVIEW, cell_of, until};
use crate::{start, start_on};

/// The first two answers are blind ones.
async fn review(client: &Client, cell: &Value, label: &str, reviewer: &str, number: u32) -> Value {
    let id = format!("0193a5f0-0000-7000-8000-{number:012}");
    let review = json!({"result_id": cell["result_id"], "label": label, "reviewer": reviewer,
                        "review_id": id, "blind": number < 3});
    let stored = client.post("/api/reviews", &review).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    stored.json()
}

fn names(cell: &Value) -> Vec<&str> {
    cell.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blind_queue_says_nothing_until_the_answer() {
    let (harness, client) = start().await;
    for number in 1..=3 {
        harness.drop_capture(&format!("UID_7_1_{number}_x.bmp"), &cell_of(REVIEW, number));
    }
    harness.wait_results(3).await;
    let queue = client.get("/api/queue?specimen=7&blind=1").await.json();
    assert_eq!(queue["blind"], true);
    let cells = queue["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 3);
    for cell in cells {
        assert_eq!(
            names(cell),
            ["cell", "field", "result_id", "sequence", "slide", "specimen"],
            "nothing that leukd says"
        );
    }
    let open = client.get("/api/queue?specimen=7").await.json();
    assert_eq!(open["blind"], false);
    let odd = client.get("/api/queue?specimen=7&blind=true").await;
    assert_eq!(
        (odd.status, odd.code().as_str()),
        (400, "BAD_FIELD"),
        "nothing is shown by mistake"
    );
    let suggested = &open["cells"][0];
    let answer = review(&client, &cells[0], "other", "Ada", 1).await;
    assert_eq!(answer["review"]["confirms"], false);
    assert_eq!(answer["suggestion"]["p_all"], suggested["p_all"]);
    assert_eq!(answer["suggestion"]["decision"], "review");
    let label = answer["suggestion"]["label"].as_str().unwrap();
    assert_eq!(suggested["label"], label);
    let agreeing = review(&client, &cells[1], label, "Ada", 2).await;
    assert_eq!(agreeing["review"]["confirms"], true);
    // After the suggestion was seen: a change, and no agreement.
    review(&client, &cells[0], label, "Ada", 3).await;
    review(&client, &cells[2], "other", "Bea", 4).await;
    let readers = client.get("/api/readers").await.json();
    let said: Vec<Value> = readers["readers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let counts = ["answers", "agreed", "changed", "blind", "blind_agreed"];
            json!([one["reviewer"], counts.map(|name| one[name].clone())])
        })
        .collect();
    assert_eq!(said, [json!(["Ada", [2, 1, 1, 2, 1]]), json!(["Bea", [1, 0, 0, 0, 0]])]);
    // The journal keeps it, for every client.
    let of = leukd::grpc::proto::ListReviewsRequest::default();
    let stored = harness.reviews().list_reviews(of).await.unwrap().into_inner().reviews;
    let mut blind: Vec<bool> = stored.iter().map(|one| one.blind).collect();
    blind.sort_unstable();
    assert_eq!(blind, [false, false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_makes_every_queue_blind() {
    let (harness, client) =
        start_on(Folders::new(), |settings| settings.page.blind_first = true).await;
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(REVIEW, 1));
    harness.wait_results(1).await;
    assert_eq!(client.get("/api/session").await.json()["blind_first"], true);
    let queue = until("the queue", async || {
        let queue = client.get("/api/queue?blind=0").await.json();
        (queue["cells"] != json!([])).then_some(queue)
    })
    .await;
    assert_eq!((&queue["blind"], &queue["cells"][0]["p_all"]), (&json!(true), &Value::Null));
}
