//! What the screens are made of: the shell, the modules, and the JSON that they ask for.

use leukd::cell::synthetic::{self, Kind, smear};
use leukd::cell::words::KindRule;
use leukd::grpc::proto::{self, Decision};
use leukd::result::RESEARCH_USE_ONLY;
use serde_json::{Value, json};

use crate::support::{ALL, Folders, HEM, REVIEW, cell_of, until};
use crate::{start, start_on};

#[tokio::test(flavor = "multi_thread")]
async fn each_screen_has_the_notice_and_lets_nothing_in_from_elsewhere() {
    let (_harness, client) = start().await;
    for path in [
        "/",
        "/specimens",
        "/specimen?specimen=1",
        "/review",
        "/cell",
        "/field",
        "/model",
        "/try",
        "/report?specimen=1",
        "/readers",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains(RESEARCH_USE_ONLY), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.text().contains("<title>leukd</title>"), "no specimen in a title");
        for address in answer.text().split('"').filter(|part| part.starts_with("assets/")) {
            let asset = client.get(&format!("/{address}")).await;
            assert_eq!(asset.status, 200, "{address}");
            assert!(asset.header("cache-control").contains("immutable"), "{address}");
        }
    }
    let other = client.get("/assets/0000000000000000/app.js").await;
    assert_eq!((other.status, other.code().as_str()), (404, "OTHER_BUILD"));
    let nothing = client.get("/../etc/passwd").await;
    assert_eq!((nothing.status, nothing.code().as_str()), (404, "NO_PAGE"));
    assert!(!nothing.header("content-security-policy").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_is_sorted_filtered_and_paged_as_it_was_asked_for() {
    let (harness, client) = start().await;
    for (number, patches) in (1..=70).zip([ALL, HEM, REVIEW].into_iter().cycle()) {
        harness.drop_capture(&format!("UID_7_1_{number}_x.bmp"), &cell_of(patches, number));
    }
    harness.wait_results(70).await;
    let cells = async |query: &str| {
        let answer = client.get(&format!("/api/gallery?specimen=7&{query}")).await.json();
        let cells = answer["cells"].as_array().unwrap().clone();
        (answer["total"].as_u64().unwrap(), cells)
    };
    let numbers = |cells: &[Value]| -> Vec<u64> {
        cells.iter().map(|cell| cell["sequence"].as_u64().unwrap()).collect()
    };
    let p_all = |cell: &Value| cell["p_all"].as_f64().unwrap();
    let (total, first) = cells("order=likeliest").await;
    assert_eq!((total, first.len()), (70, 60));
    assert!(first.windows(2).all(|two| p_all(&two[0]) >= p_all(&two[1])));
    let (_, second) = cells("order=likeliest&offset=60").await;
    let mut all = [numbers(&first), numbers(&second)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 70, "each cell stands on one page");
    let (total, reviews) = cells("decision=review").await;
    assert_eq!((total, reviews.len()), (23, 23));
    assert!(reviews.iter().all(|cell| cell["decision"] == "review"));
    let (_, shuffled) = cells("order=random&seed=5").await;
    let (_, same) = cells("order=random&seed=5").await;
    let (_, other) = cells("order=random&seed=6").await;
    assert_eq!(numbers(&shuffled), numbers(&same));
    assert_ne!(numbers(&shuffled), numbers(&other));
    assert!(!numbers(&shuffled).is_sorted());
    assert_eq!(cells("reason=blurred").await.0, 0);
    assert_eq!(client.get("/api/gallery?specimen=7&order=best").await.status, 400);
    let listed = client.get("/api/specimens").await.json();
    assert_eq!(listed["specimens"][0]["specimen"], "7");
    assert_eq!(listed["specimens"][0]["to_review"], 23);
    assert_eq!(listed["specimens"][0]["figures"]["cells"]["all"], 24);
    let beyond = client.get(&format!("/api/specimens?offset={}", u64::MAX)).await;
    assert_eq!(beyond.status, 200);
    assert_eq!(beyond.json(), serde_json::json!({"specimens": [], "next": null}));
    let reasons = client.get("/api/session").await.json()["reasons"].clone();
    for reason in reasons.as_array().unwrap() {
        let path = format!("/api/gallery?specimen=7&reason={}", reason.as_str().unwrap());
        let found = client.get(&path).await;
        assert_eq!(found.status, 200, "every reason is a filter: {reason}");
    }
    assert!(reasons.as_array().unwrap().contains(&"low-confidence".into()));
    let queue = client.get("/api/queue?specimen=7").await.json();
    assert_eq!(numbers(queue["cells"].as_array().unwrap()).len(), 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_and_its_undo_are_events_of_the_journal() {
    let (harness, client) = start().await;
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(REVIEW, 1));
    let result = harness.wait_results(1).await.remove(0);
    let review = |label: &str, note: &str, id: &str| {
        json!({"result_id": result.result_id, "label": label, "reviewer": "Ada", "note": note,
               "review_id": id})
    };
    let (first, second) =
        ("0193a5f0-0000-7000-8000-000000000001", "0193a5f0-0000-7000-8000-000000000002");
    let stored = client.post("/api/reviews", &review("all", "", first)).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let again = client.post("/api/reviews", &review("all", "", first)).await.json();
    assert_eq!(again["known"], true, "sending it again is harmless");
    let undo = review("hem", "replaces review 2", second);
    assert_eq!(client.post("/api/reviews", &undo).await.status, 200);
    let request = proto::ListReviewsRequest::default();
    let reviews = harness.reviews().list_reviews(request).await.unwrap().into_inner().reviews;
    let said: Vec<_> = reviews.iter().map(|r| (r.label.as_str(), r.note.as_str())).collect();
    assert_eq!(said, [("all", ""), ("hem", "replaces review 2")]);
    let cell = client.get(&format!("/api/cell?sequence={}", result.sequence)).await.json();
    assert_eq!(cell["cell"]["standing"]["label"], "hem", "the latest counts");
    assert_eq!(cell["reviews"].as_array().unwrap().len(), 2);
    assert_eq!(client.get("/api/queue").await.json()["cells"], json!([]));
    let bad = client.post("/api/reviews", &review("sick", "", first)).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "BAD_FIELD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_shown_once_and_one_that_vanished_says_so() {
    let (harness, client) = start().await;
    let file = harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(ALL, 1));
    let sequence = harness.wait_results(1).await[0].sequence;
    let path = format!("/api/picture?sequence={sequence}&of=cell");
    let picture = client.get(&path).await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
    assert_eq!(image::load_from_memory(&picture.body).unwrap().to_rgb8().dimensions(), (64, 64));
    let heat = client.get(&format!("/api/picture?sequence={sequence}&of=heat")).await;
    assert_eq!(heat.status, 200, "{}", heat.text());
    std::fs::write(&file, cell_of(HEM, 2)).unwrap();
    let other = client.get(&path).await;
    assert_eq!((other.status, other.code().as_str()), (409, "OTHER_BYTES"));
    std::fs::remove_file(&file).unwrap();
    let gone = client.get(&path).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "NO_IMAGE"));
    assert!(gone.text().contains("journal.keep_images"), "{}", gone.text());
    // What the browser holds is still of these bytes.
    let known = [("If-None-Match", picture.header("etag"))];
    assert_eq!(client.send("GET", &path, &known, &[]).await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_has_its_cells_and_each_its_own_picture() {
    let (harness, client) =
        start_on(Folders::new(), |settings| settings.watch.kind = KindRule::Auto).await;
    let recipe = smear::Recipe { seed: 3, white_cells: 3, ..smear::Recipe::default() };
    let drawn = smear::draw(&recipe).picture;
    harness.drop_capture("UID_12_4_1_x.png", &synthetic::png(&drawn));
    let results = harness.wait_results(3).await;
    until("the field's end", async || {
        let field = client.get(&format!("/api/field?sequence={}", results[1].sequence)).await;
        (field.json()["field"]["sequence"] == 4).then_some(())
    })
    .await;
    let field = client.get("/api/field?sequence=4").await.json();
    assert_eq!(field["cells"].as_array().unwrap().len(), 3);
    assert!(field["cells"][0]["outline"].as_array().unwrap().len() > 3);
    let scale = client.get("/api/cell?sequence=2").await.json()["scale"].clone();
    assert!(scale["micrometres_per_pixel"].as_f64().unwrap() > 0.0, "{scale}");
    assert_eq!(scale["source"], "red-cells");
    let whole = client.get("/api/picture?sequence=1&of=field").await;
    assert_eq!(whole.header("x-leukd-size"), "640x480");
    let cell = client.get("/api/picture?sequence=2&of=cell").await;
    let cut = image::load_from_memory(&cell.body).unwrap().to_rgb8();
    assert!(cut.width() < 200 && cut.height() < 200, "{:?}", cut.dimensions());
    let x = field["cells"][1]["region"]["x"].as_u64().unwrap() as u32;
    let y = field["cells"][1]["region"]["y"].as_u64().unwrap() as u32;
    assert!(cut.pixels().any(|pixel| pixel == drawn.get_pixel(x, y)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_tried_is_judged_and_nothing_is_stored() {
    let (harness, client) = start().await;
    let origin = format!("http://{}", client.address);
    let own = [("Origin", origin.as_str()), ("X-Leukd", "1")];
    let tried = client.send("POST", "/api/try", &own, &cell_of(ALL, 1)).await;
    assert_eq!(tried.status, 200, "{}", tried.text());
    let tried = tried.json();
    assert_eq!(tried["cells"][0]["decision"], "all");
    assert!(tried["cells"][0]["map"].is_string());
    let broken = client.send("POST", "/api/try", &own, b"no picture").await;
    assert_eq!((broken.status, broken.code().as_str()), (422, "BAD_IMAGE"));
    assert!(harness.all_results().await.is_empty());
    assert_eq!(client.get("/api/model").await.json()["id"], "tiny");
    // The same bytes in a folder are new to the journal.
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(ALL, 1));
    assert_eq!(harness.wait_results(1).await[0].decision(), Decision::All);
    let now = client.get("/api/now").await.json();
    assert_eq!(now["cells"].as_array().unwrap().len(), 1);
    assert_eq!(now["status"]["degraded"], json!([]));
    assert!(!synthetic::cell(1, Kind::Blast).is_empty());
}
