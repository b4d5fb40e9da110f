//! Who is let in: hosts, origins, tokens, scopes, lengths.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use leukd::access::Scope;
use leukd::config::units::Bytes;
use serde_json::json;

use crate::http::{Answer, Client};
use crate::support::keys::token;
use crate::support::{Folders, Harness, REVIEW, cell_of, until};
use crate::{start, start_on};

/// A daemon with an access file.
async fn guarded() -> (Harness, Client, PathBuf) {
    let folders = Folders::new();
    let file = folders.root.path().join("access.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (harness, client) =
        start_on(folders, |settings| settings.access.file = Some(file.clone().into())).await;
    (harness, client, file)
}

/// Signs in, as soon as the daemon knows the token.
async fn signed_in(client: &Client, token: &str) -> Client {
    let answer = until("the token to be known", async || {
        let answer = client.post("/api/login", &json!({"token": token})).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(token), "the token is not in the browser");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Client { cookie, ..client.clone() }
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_or_origin_is_refused() {
    let (_harness, client) = start().await;
    for host in ["evil.example", "localhost.evil.example:8080", "10.1.2.3:8080", ""] {
        for path in ["/", "/api/now", "/assets/x/app.js"] {
            let answer = client.send("GET", path, &[("Host", host)], &[]).await;
            assert_eq!(refused(&answer), (421, "FOREIGN_HOST".to_owned()), "{host} {path}");
        }
    }
    for host in ["localhost:1", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(client.send("GET", "/api/now", &[("Host", host)], &[]).await.status, 200);
    }
    let own = format!("http://{}", client.address);
    let foreign: [&[(&str, &str)]; 5] = [
        &[],
        &[("Origin", &own)],
        &[("X-Leukd", "1")],
        &[("Origin", "null"), ("X-Leukd", "1")],
        // Another port of this machine is another origin.
        &[("Origin", "http://127.0.0.1:1"), ("X-Leukd", "1")],
    ];
    for headers in foreign {
        for path in ["/api/reviews", "/api/login", "/api/logout", "/api/try"] {
            let answer = client.send("POST", path, headers, b"{}").await;
            assert_eq!(refused(&answer), (403, "FOREIGN_ORIGIN".to_owned()), "{headers:?} {path}");
        }
    }
    let other_site = [("Sec-Fetch-Site", "cross-site")];
    let answer = client.send("GET", "/api/now", &other_site, &[]).await;
    assert_eq!(refused(&answer), (403, "FOREIGN_SITE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_a_token_and_its_logout_ends_it_on_the_server() {
    let (harness, client, file) = guarded().await;
    for path in ["/api/now", "/api/live", "/api/queue", "/api/picture?sequence=1", "/api/model"] {
        let answer = client.get(path).await;
        assert_eq!(refused(&answer), (401, "NO_CREDENTIAL".to_owned()), "{path}");
    }
    assert_eq!(client.get("/").await.status, 200, "the shell says nothing of anybody");
    assert_eq!(client.get("/api/session").await.json()["signed_in"], false);
    let unknown = format!("leukd_{}", "A".repeat(43));
    let answer = client.post("/api/login", &json!({"token": unknown})).await;
    assert_eq!(refused(&answer), (401, "UNKNOWN_TOKEN".to_owned()));
    let reader = token(&file, "reader", &[Scope::Read]);
    let user = signed_in(&client, &reader).await;
    assert_eq!(user.get("/api/now").await.status, 200);
    let session = user.get("/api/session").await.json();
    assert_eq!(
        (&session["identity"], &session["scopes"]),
        (&json!("token:reader"), &json!(["read"]))
    );
    let name = user.cookie.split('=').next().unwrap();
    assert!(name.starts_with("leukd-") && name.len() == 22, "an install's own name: {name}");
    let mut open = user.stream(None).await;
    open.next_of("hello").await;
    assert_eq!(user.post("/api/logout", &json!({})).await.status, 200);
    let replayed = user.get("/api/now").await;
    assert_eq!(refused(&replayed), (401, "NO_CREDENTIAL".to_owned()));
    open.next_of("denied").await;
    // A token that was revoked takes its sessions and streams along.
    let user = signed_in(&client, &reader).await;
    let mut events = user.stream(None).await;
    events.next_of("hello").await;
    leukd::access::edit::revoke(&file, "reader").unwrap();
    events.next_of("denied").await;
    assert_eq!(refused(&user.get("/api/now").await), (401, "UNKNOWN_TOKEN".to_owned()));
    drop(harness);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_does_its_own_and_a_review_tells_who_sent_it() {
    let (harness, client, file) = guarded().await;
    harness.drop_capture("UID_7_1_1_x.bmp", &cell_of(REVIEW, 1));
    let reader = signed_in(&client, &token(&file, "reader", &[Scope::Read])).await;
    let both = token(&file, "ada", &[Scope::Read, Scope::Review]);
    let reviewer = signed_in(&client, &both).await;
    let cell = until("the cell", async || {
        let queue = reader.get("/api/queue").await.json();
        queue["cells"].get(0).cloned()
    })
    .await;
    let review = json!({
        "result_id": cell["result_id"], "label": "all", "reviewer": "Ada",
        "review_id": "0193a5f0-0000-7000-8000-000000000001",
    });
    for path in ["/api/reviews", "/api/signatures", "/api/try"] {
        let answer = reader.post(path, &review).await;
        assert_eq!(refused(&answer), (403, "MISSING_SCOPE".to_owned()), "{path}");
    }
    let stored = reviewer.post("/api/reviews", &review).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(stored.json()["review"]["client"], "token:ada");
    let writer = signed_in(&client, &token(&file, "writer", &[Scope::Review])).await;
    let answer = writer.get("/api/now").await;
    assert_eq!(refused(&answer), (403, "MISSING_SCOPE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let (_harness, client) =
        start_on(Folders::new(), |settings| settings.rpc.max_image_bytes = Bytes(4096)).await;
    let origin = format!("http://{}", client.address);
    let said = [("Origin", origin.as_str()), ("X-Leukd", "1"), ("Content-Length", "2147483648")];
    for path in ["/api/try", "/api/reviews"] {
        let answer = client.send("POST", path, &said, b"x").await;
        assert_eq!(refused(&answer), (413, "TOO_LONG".to_owned()), "{path}");
    }
    let answer = client.send("POST", "/api/try", &said[..2], &[0; 5000]).await;
    assert_eq!(refused(&answer), (413, "TOO_LONG".to_owned()));
    let answer = client.post("/api/reviews", &json!({"surprise": 1})).await;
    assert_eq!(refused(&answer), (400, "BAD_FIELD".to_owned()));
    let answer = client.send("DELETE", "/api/reviews", &said[..2], &[]).await;
    assert_eq!(answer.status, 405);
}
