//! What leaves the page: a specimen's cells as CSV, its report, and the first pages of a large one.

use leukd::result::RESEARCH_USE_ONLY;
use serde_json::json;

use crate::http::Client;
use crate::start;
use crate::support::{ALL, HEM, REVIEW, cell_of};

/// Lines of a CSV file, by RFC 4180.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut letters = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(std::mem::take(&mut field)),
            '\r' if !is_quoted && letters.peek() == Some(&'\n') => {
                letters.next();
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            letter => field.push(letter),
        }
    }
    assert!(line.is_empty() && field.is_empty(), "each line has its end");
    lines
}

async fn review(client: &Client, result_id: &str, label: &str, reviewer: &str, number: u32) {
    let id = format!("0193a5f0-0000-7000-8000-{number:012}");
    let review = json!({"result_id": result_id, "label": label, "reviewer": reviewer,
                        "review_id": id});
    let stored = client.post("/api/reviews", &review).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimens_cells_are_a_file_that_no_spreadsheet_runs() {
    let (harness, client) = start().await;
    // More than one page of the journal; one of another specimen.
    for (number, patches) in (1..=520).zip([ALL, HEM, REVIEW].into_iter().cycle()) {
        harness.drop_capture(&format!("UID_7_1_{number}_x.bmp"), &cell_of(patches, number));
    }
    harness.drop_capture("UID_8_1_1_x.bmp", &cell_of(ALL, 9_001));
    let results = harness.wait_results(521).await;
    let own: Vec<_> = results.iter().filter(|result| result.specimen == "7").collect();
    let formula = "=HYPERLINK(\"http://evil.example\",\"x\")";
    review(&client, &own[0].result_id, "other", formula, 1).await;
    let answer = client.get("/api/cells.csv?specimen=7").await;
    assert_eq!((answer.status, answer.is_whole), (200, true));
    assert!(answer.header("content-type").starts_with("text/csv; charset=utf-8"));
    let name = answer.header("content-disposition");
    assert_eq!(name, "attachment; filename=\"leukd-cells-522.csv\"", "no specimen in a name");
    let text = answer.text();
    let text = text.strip_prefix('\u{feff}').expect("a mark, by which Excel knows UTF-8");
    let lines = read_csv(text);
    let (names, cells) = lines.split_first().unwrap();
    assert_eq!(cells.len(), 520);
    assert!(cells.iter().all(|cell| cell.len() == names.len()));
    let value = |cell: usize, name: &str| {
        let column = names.iter().position(|own| own == name).unwrap();
        cells[cell][column].clone()
    };
    for (at, result) in own.iter().enumerate() {
        assert_eq!(value(at, "sequence"), result.sequence.to_string());
        assert_eq!(value(at, "result_id"), result.result_id);
        assert_eq!(value(at, "specimen"), "7");
        assert_eq!(value(at, "notice"), RESEARCH_USE_ONLY);
    }
    assert_eq!(value(0, "reviewer"), format!("'{formula}"));
    assert_eq!((value(0, "standing"), value(0, "label")), ("corrected".into(), "other".into()));
    let review = own.iter().position(|own| !own.reasons.is_empty()).unwrap();
    assert_eq!(value(review, "reasons"), own[review].reasons[0].code);
    assert!(!value(0, "area").is_empty() && !value(0, "model_digest").is_empty());
    // Each column is explained.
    let guide = include_str!("../../docs/guide/page.md");
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "docs/guide/page.md says nothing of {name}");
    }
    let none = client.get("/api/cells.csv?specimen=nobody").await;
    assert_eq!((none.status, none.code().as_str()), (404, "NO_SPECIMEN"));
    let unnamed = client.get("/api/cells.csv").await;
    assert_eq!((unnamed.status, unnamed.code().as_str()), (400, "BAD_FIELD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_cell_is_not_exported() {
    let (harness, client) = start().await;
    let file = harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(ALL, 1));
    harness.wait_results(1).await;
    std::fs::write(&file, cell_of(HEM, 2)).unwrap();
    let live = harness.wait_results(2).await.remove(1);
    let lines = read_csv(&client.get("/api/cells.csv?specimen=7").await.text());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1][0], live.sequence.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_counts_cells_readers_and_model() {
    let (harness, client) = start().await;
    for (number, patches) in (1..=30).zip([ALL, HEM, REVIEW].into_iter().cycle()) {
        harness.drop_capture(&format!("UID_7_1_{number}_x.bmp"), &cell_of(patches, number));
    }
    let results = harness.wait_results(30).await;
    let all = results.iter().find(|own| own.decision() == leukd::grpc::proto::Decision::All);
    let all = &all.unwrap().result_id;
    review(&client, all, "hem", "Ada", 1).await;
    // An answer that was changed: the first one counts.
    review(&client, all, "all", "Ada", 2).await;
    review(&client, all, "all", "Bea", 3).await;
    let report = client.get("/api/report?specimen=7").await.json();
    assert_eq!(report["figures"]["cells"]["all"], 10);
    assert_eq!(report["to_review"]["total"], 10);
    assert_eq!(report["to_review"]["cells"].as_array().unwrap().len(), 10);
    assert_eq!(report["likeliest"]["total"], 30);
    let likeliest = report["likeliest"]["cells"].as_array().unwrap();
    assert_eq!(likeliest.len(), 24);
    let p_all = |at: usize| likeliest[at]["p_all"].as_f64().unwrap();
    assert!((1..24).all(|at| p_all(at - 1) >= p_all(at)));
    assert_eq!(report["digests"], json!([likeliest[0]["model"]["digest"]]));
    let readers: Vec<_> = report["readers"].as_array().unwrap().iter().collect();
    let said = |of: &serde_json::Value| {
        (of["reviewer"].clone(), of["answers"].clone(), of["agreed"].clone(), of["changed"].clone())
    };
    assert_eq!(said(readers[0]), (json!("Ada"), json!(1), json!(0), json!(1)));
    assert_eq!(said(readers[1]), (json!("Bea"), json!(1), json!(1), json!(0)));
    assert_eq!(client.get("/api/report?specimen=nobody").await.code(), "NO_SPECIMEN");
}
