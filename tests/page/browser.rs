//! A person at the page: a real browser, and the journal as the oracle. Says that it skips where
//! chromium and its driver are not installed.

use leukd::cell::synthetic::{self, Kind, smear};
use leukd::config::units::Span;
use leukd::grpc::proto;
use leukd::grpc::proto::event::Kind as Event;
use leukd::grpc::proto::signature::Act;
use leukd::grpc::proto::submit_review_request::Of;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::result::RESEARCH_USE_ONLY;
use serde_json::{Value, json};

use crate::driver::Browser;
use crate::start_on;
use crate::support::{Folders, Harness, next, until};

/// A daemon with the embedded model, which leaves every drawn cell to a person.
async fn daemon(cells: u32) -> (Harness, String) {
    let (harness, client) = start_on(Folders::new(), |settings| {
        settings.model.bundle = None;
        settings.watch.kind = leukd::cell::words::KindRule::Auto;
        settings.rpc.heartbeat = Span::from_secs(5);
    })
    .await;
    for number in 0..cells {
        let kind = if number.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
        let cell = synthetic::bmp(&synthetic::cell(u64::from(number), kind));
        harness.drop_capture(&format!("UID_900_1_{number}_x.bmp"), &cell);
    }
    harness.wait_results(cells as usize).await;
    (harness, format!("http://{}/", client.address))
}

async fn reviews(harness: &Harness) -> Vec<proto::Review> {
    let request = proto::ListReviewsRequest { page_size: 1000, ..Default::default() };
    harness.reviews().list_reviews(request).await.unwrap().into_inner().reviews
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_cells_are_reviewed_by_keys_alone_with_an_undo() {
    let Some(browser) = Browser::start().await else { return };
    let (harness, url) = daemon(20).await;
    browser.open(&format!("{url}review")).await;
    browser.wait("return document.activeElement.id === 'reviewer'").await;
    // Keys are dead while somebody types: a name that is full of them.
    browser.press("Bonn\u{e007}").await;
    browser.wait("return document.querySelector('.stage .picture img')").await;
    browser.shoot("review").await;
    assert!(reviews(&harness).await.is_empty());
    // All at once: none may be skipped, none doubled.
    browser.press("bnbnbnbnbn").await;
    // The tenth is answered otherwise.
    browser.press("u").await;
    browser.wait("return document.querySelector('.undone')").await;
    browser.shoot("review-undo").await;
    browser.press("o").await;
    browser.press("bbbbbnnnnn").await;
    browser.wait("return document.querySelector('.done')").await;
    let stored = until("all reviews", async || {
        let stored = reviews(&harness).await;
        (stored.len() >= 21).then_some(stored)
    })
    .await;
    browser.wait("return document.getElementById('saved').textContent === '21 saved'").await;
    let said: String = stored.iter().map(|review| &review.label[..1]).collect();
    assert_eq!(said, "ahahahahahoaaaaahhhhh");
    assert!(stored.iter().all(|review| review.reviewer == "Bonn"));
    let of: Vec<u64> = stored.iter().map(|review| review.result_sequence).collect();
    let expected: Vec<u64> = (1..=10).chain([10]).chain(11..=20).collect();
    assert_eq!(of, expected, "each cell once, in order, and the undone one twice");
    assert_eq!(stored[10].note, format!("replaces review {}", stored[9].sequence));
    assert_eq!(browser.errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_is_signed_by_keys_ended_by_a_result_and_withdrawn() {
    let Some(browser) = Browser::start().await else { return };
    let (harness, url) = daemon(2).await;
    let specimen = format!("{url}specimen?specimen=900");
    browser.open(&specimen).await;
    browser.wait("return document.querySelector('.signoff .missing')").await;
    assert_eq!(browser.run("return document.querySelector('#sign')").await, Value::Null);
    browser.shoot("sign-missing").await;
    for sequence in [1, 2] {
        let request = proto::SubmitReviewRequest {
            of: Some(Of::Sequence(sequence)),
            label: "hem".to_owned(),
            reviewer: "Bonn".to_owned(),
            ..Default::default()
        };
        harness.reviews().submit_review(request).await.unwrap();
    }
    browser.open(&specimen).await;
    browser.wait("return document.querySelector('#sign')").await;
    browser.run("document.querySelector('#sign').focus()").await;
    browser.press("\u{e007}").await;
    let asks = "return document.querySelector('dialog h2').textContent === 'Sign specimen 900?'";
    browser.wait(asks).await;
    browser.press("Bonn").await;
    browser.shoot("sign-question").await;
    // Twice at once: one signature alone.
    browser.press("\u{e007}\u{e007}").await;
    browser.wait("return document.querySelector('.signoff .sign.signed')").await;
    browser.wait("return document.getElementById('live').className === 'badge live'").await;
    browser.shoot("sign-signed").await;
    let seen = "return document.querySelector('.signoff li').textContent";
    let says = browser.run(seen).await;
    assert!(says.as_str().unwrap().starts_with("Signed by Bonn on "), "{says}");
    browser.open(&format!("{url}specimens")).await;
    browser.wait("return document.querySelector('td .sign.signed')").await;
    browser.shoot("specimens-signed").await;

    let cell = synthetic::bmp(&synthetic::cell(99, Kind::Blast));
    browser.open(&specimen).await;
    browser.wait("return document.getElementById('live').className === 'badge live'").await;
    harness.drop_capture("UID_900_1_99_x.bmp", &cell);
    browser.wait("return document.querySelector('.bar button')").await;
    browser.open(&specimen).await;
    browser.wait("return document.querySelector('.signoff .sign.changed')").await;
    browser.shoot("sign-changed").await;
    let since = browser.run("return document.querySelector('p.changed').textContent").await;
    assert!(since.as_str().unwrap().contains("1 result and 0 changed reviews"), "{since}");
    browser.click(".signoff li button").await;
    browser.wait("return document.querySelector('dialog #reason')").await;
    browser.shoot("sign-withdraw").await;
    browser.press("\u{e007}").await;
    browser.wait("return document.querySelector('.signoff li') === null").await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
    let start = Some(Start::Earliest(()));
    let request = proto::SubscribeRequest { start, ..Default::default() };
    let mut stored = harness.results().subscribe(request).await.unwrap().into_inner();
    let mut acts = Vec::new();
    loop {
        match next(&mut stored).await.kind.unwrap() {
            Event::Signature(own) => acts.push((own.act(), own.signer)),
            Event::Heartbeat(_) => break,
            _ => {}
        }
    }
    let bonn = || "Bonn".to_owned();
    assert_eq!(acts, [(Act::Signed, bonn()), (Act::Withdrawn, bonn())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blind_reader_sees_the_suggestion_after_the_answer() {
    let Some(browser) = Browser::start().await else { return };
    let (harness, url) = daemon(4).await;
    browser.open(&format!("{url}review")).await;
    browser.wait("return document.activeElement.id === 'reviewer'").await;
    browser.press("Ada\u{e007}").await;
    browser.wait("return document.querySelector('.stage .tag')").await;
    browser.click("#blind").await;
    browser.wait("return document.querySelector('.stage .blind')").await;
    let stage = "return document.querySelector('.stage').textContent";
    let hidden = browser.run(stage).await;
    assert!(!hidden.as_str().unwrap().contains("P(all)"), "{hidden}");
    let alt = browser.run("return document.querySelector('.stage img').alt").await;
    assert_eq!(alt, "900/1/0", "neither does the picture's text");
    // Keys that would show it wait for the answer.
    browser.press("h").await;
    assert_eq!(browser.run("return document.querySelector('.picture.heat')").await, json!(null));
    browser.press("b").await;
    let says = browser.wait("return document.getElementById('reveal').textContent").await;
    let says = browser
        .wait("return document.getElementById('reveal').textContent.match(/900.*leukd.*/)?.[0]")
        .await
        .as_str()
        .map_or_else(|| says.to_string(), str::to_owned);
    assert!(says.starts_with("900/1/0: you said “blast (all)”, leukd suggested"), "{says}");
    browser.shoot("review-blind").await;
    browser.press("bbb").await;
    until("all reviews", async || (reviews(&harness).await.len() == 4).then_some(())).await;
    browser.open(&format!("{url}readers")).await;
    let row = browser.wait("return document.querySelector('tbody tr')?.textContent").await;
    assert!(row.as_str().unwrap().contains("Ada4"), "{row}");
    browser.shoot("readers").await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_screen_shows_what_it_is_for_and_breaks_no_policy() {
    let Some(browser) = Browser::start().await else { return };
    let (harness, url) = daemon(9).await;
    let recipe = smear::Recipe { seed: 3, white_cells: 4, ..smear::Recipe::default() };
    let field = synthetic::png(&smear::draw(&recipe).picture);
    let file = harness.drop_capture("UID_901_1_1_x.png", &field);
    harness.wait_results(13).await;
    let screens = [
        ("now", "", ".grid .card"),
        ("specimens", "specimens", "table a"),
        ("specimen", "specimen?specimen=900", ".grid .card"),
        ("report", "report?specimen=900", ".grid .card"),
        ("cell", "cell?sequence=3", ".picture img"),
        ("field", "field?sequence=11", ".outline"),
        ("model", "model", "figure .plot"),
        ("try", "try", ".drop"),
    ];
    for (name, path, shown) in screens {
        browser.open(&format!("{url}{path}")).await;
        browser.wait(&format!("return document.querySelector('{shown}') !== null")).await;
        browser.wait("return document.getElementById('live').className === 'badge live'").await;
        let notice = browser.run("return document.querySelector('footer').textContent").await;
        assert_eq!(notice.as_str().unwrap().trim(), RESEARCH_USE_ONLY, "{name}");
        let title = browser.run("return document.title").await;
        let title = title.as_str().unwrap();
        assert!(title.ends_with("leukd") && !title.contains("900"), "{name}: {title}");
        let wide = browser
            .run(
                "const main = document.querySelector('main');
                  return main.scrollWidth > main.clientWidth",
            )
            .await;
        assert_eq!(wide, false, "{name} needs no scrolling to the side");
        browser.shoot(name).await;
    }
    browser.choose("#file", &file).await;
    browser.wait("return document.querySelectorAll('.said').length === 4").await;
    let drawn = "const image = document.querySelector('.field img').getBoundingClientRect();
                 const outline = document.querySelector('.outline').getBoundingClientRect();
                 return image.height > 0 && outline.top >= image.top && outline.bottom <= image.bottom";
    browser.wait(drawn).await;
    browser.shoot("try-field").await;
    // A cell of a field: enlarged by keys, with a bar that grows along.
    browser.open(&format!("{url}cell?sequence=11")).await;
    let bar = "const bar = document.querySelector('.bar-length');
               const text = document.querySelector('.scale')?.textContent.match(/(\\d+) µm/);
               return text && bar.offsetWidth > 4 && bar.getBoundingClientRect().width / text[1]";
    let unit = browser.wait(bar).await.as_f64().unwrap();
    browser.press("++").await;
    browser.wait("return document.getElementById('zoom').textContent === '2 ×'").await;
    let grown = browser.run(bar).await.as_f64().unwrap();
    assert!((grown / unit - 2.0).abs() < 0.2, "{unit} {grown}");
    let moves = "const picture = document.querySelector('.picture');
                 return picture.scrollWidth > picture.clientWidth && picture.tabIndex === 0";
    assert_eq!(browser.run(moves).await, true, "what lies outside is reached by scrolling");
    browser.shoot("cell-zoomed").await;
    browser.press("0").await;
    browser.wait("return document.getElementById('zoom').textContent === '1 ×'").await;
    browser.open(&format!("{url}cell?sequence=3")).await;
    let scale = browser.wait("return document.querySelector('.scale')?.textContent").await;
    assert_eq!(scale, "Nobody knows the scale of this picture.");
    browser.wait("return document.querySelector('.picture img') !== null").await;
    browser.click("#heat").await;
    let loaded = "const heat = document.querySelector('.picture.heat img');
                  return heat && heat.naturalWidth > 0";
    browser.wait(loaded).await;
    browser.shoot("cell-heat").await;
    // What comes does not move what the eye is on.
    browser.open(&url).await;
    browser.wait("return document.getElementById('live').className === 'badge live'").await;
    let cell = synthetic::bmp(&synthetic::cell(99, Kind::Blast));
    harness.drop_capture("UID_900_1_99_x.bmp", &cell);
    browser.wait("return document.querySelector('.fresh').textContent === '1 new: show'").await;
    browser.shoot("now-new").await;
    assert_eq!(browser.run("return document.querySelectorAll('.card').length").await, 13);
    browser.click(".fresh").await;
    browser.wait("return document.querySelectorAll('.card').length === 14").await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
    harness.stop().await;
    browser.wait("return document.getElementById('live').className === 'badge stale'").await;
    browser.shoot("now-stale").await;
}
