//! Who gets in, and what he may do there.

use leukd_fleet::local::OWNER;
use leukd_fleet::{Address, Lab, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::fixtures::{Running, Store, fill, open, password, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_site_writes_and_sees_its_own_rows_alone() {
    let Some(store) = Store::start(&["east", "west"]).await else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (east, west) = (open(folders[0].path()).await, open(folders[1].path()).await);
    fill(&east, 0, 5).await;
    fill(&west, 0, 7).await;
    let port = store.server.port();
    let running = [
        Running::start(&store, "east", port, east.clone()),
        Running::start(&store, "west", port, west.clone()),
    ];
    store.equals("east", &east).await;
    store.equals("west", &west).await;
    for site in running {
        site.stop().await;
    }
    let client = store.client("leukd_east").await;
    for table in ["events", "audit", "journals", "sites", "results", "reviews"] {
        let sql = format!("SELECT DISTINCT site FROM leukd.{table}");
        let rows = client.query(&sql, &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["east"], "{table}");
    }
    for sql in [
        "INSERT INTO leukd.events SELECT * FROM leukd.events",
        "UPDATE leukd.events SET text = ''",
        "DELETE FROM leukd.audit",
        "UPDATE leukd.lab SET next_sequence = 1",
        "UPDATE leukd.sites SET generation = 1",
        "TRUNCATE leukd.gaps CASCADE",
        "SET ROLE leukd_west",
        "SET SESSION AUTHORIZATION leukd_west",
    ] {
        let refused = client.batch_execute(sql).await.unwrap_err();
        let told = refused.as_db_error().unwrap().message().to_owned();
        assert!(told.contains("permission denied"), "{sql}: {told}");
    }
    store
        .client(OWNER)
        .await
        .batch_execute("CREATE ROLE auditor LOGIN PASSWORD 'pass of auditor' IN ROLE leukd_reader")
        .await
        .unwrap();
    let reader = store.client("auditor").await;
    let row =
        reader.query_one("SELECT count(DISTINCT site) FROM leukd.results", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2);
    reader.batch_execute("DELETE FROM leukd.events").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_event_in_the_store_is_found() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 1, 9).await;
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    store.equals("ward", &journal).await;
    site.stop().await;
    let (client, lab) = (store.client(OWNER).await, store.lab().await);
    let edit = "UPDATE leukd.events SET text = replace(text, 'hem', 'all') WHERE sequence = 4";
    client.batch_execute(edit).await.unwrap();
    let fault = lab.verify("ward", journal.epoch()).await.unwrap().fault;
    assert_eq!(fault.as_deref(), Some("event 4 was changed in the store"));
    let edit = "UPDATE leukd.audit SET record = record || ' ' WHERE number = 3";
    client.batch_execute(edit).await.unwrap();
    let fault = lab.verify("ward", journal.epoch()).await.unwrap().fault;
    assert_eq!(fault.as_deref(), Some("record 3 was changed, or one before it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_ready_names_the_command() {
    let Some(store) = Store::empty() else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    let client = store.client(OWNER).await;
    client.batch_execute("CREATE ROLE leukd_ward LOGIN PASSWORD 'pass of ward'").await.unwrap();
    fs_err::write(store.folder.path().join("ward"), password("ward")).unwrap();
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    let why = refusal(&site.progress).await;
    assert!(why.contains("leukd lab init"), "{why}");
    // Made while the daemon runs, it is used without a restart; a second init changes nothing.
    let mut lab = store.lab().await;
    assert!(lab.init().await.unwrap());
    assert!(!lab.init().await.unwrap());
    lab.add_site("ward", &password("ward")).await.unwrap();
    lab.add_site("ward", &password("ward")).await.unwrap();
    fill(&journal, 0, 3).await;
    store.equals("ward", &journal).await;
    site.stop().await;

    fs_err::write(store.folder.path().join("ward"), "wrong").unwrap();
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    let why = refusal(&site.progress).await;
    assert!(why.contains("password authentication failed"), "{why}");
    site.stop().await;
    client.batch_execute("UPDATE leukd.lab SET schema_version = 99").await.unwrap();
    let told = lab.init().await.unwrap_err().to_string();
    assert!(told.contains("schema version 99"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_the_stores_own_ca_and_no_other() {
    let Some(mut store) = Store::start(&["ward"]).await else { return };
    let ca = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (right, wrong) = (ca(), ca());
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, &right).unwrap().pem(), key.serialize_pem())
    };
    let (certificate, key) = signed("127.0.0.1");
    let server = &store.server;
    let [certificate, key, clients] =
        [("c.pem", certificate), ("k.pem", key), ("ca.pem", right.pem())]
            .map(|(name, text)| server.put(name, &text).unwrap().display().to_string());
    server
        .configure(&format!(
            "ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\nssl_ca_file = '{clients}'\n"
        ))
        .unwrap();
    server
        .allow("hostssl all leukd_ward 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 trust\n")
        .unwrap();
    store.server.stop().unwrap();
    store.server.resume().unwrap();
    let put = |name: &str, text: String| {
        let path = store.folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    };
    let (own, own_key) = signed("leukd_ward");
    let client = Some((put("own.pem", own), put("own-key.pem", own_key)));
    let enter = async |ca: &std::path::Path, client: Option<_>| {
        let tls = TlsFiles { ca: Some(ca.to_owned()), client };
        let address = Address::new(&store.server.url("leukd_ward"), None, tls).unwrap();
        Lab::connect(address).await.map(drop).map_err(|error| error.to_string())
    };
    let (good, bad) = (put("good.pem", right.pem()), put("bad.pem", wrong.pem()));
    enter(&good, client.clone()).await.unwrap();
    let told = enter(&bad, client).await.unwrap_err();
    assert!(told.contains("certificate"), "{told}");
    let told = enter(&good, None).await.unwrap_err();
    assert!(told.contains("certificate"), "{told}");
    let told = enter(std::path::Path::new("/nowhere.pem"), None).await.unwrap_err();
    assert!(told.contains("/nowhere.pem"), "{told}");
}

#[test]
fn an_address_that_cannot_be_used_says_why() {
    for (url, part) in [
        ("postgres://a:secret@h/d", "name a file"),
        ("postgres://h/d", "names no user"),
        ("postgres://a@h1,h2/d", "one host"),
        ("http://x", "write postgres://"),
    ] {
        let told = Address::new(url, None, TlsFiles::default()).unwrap_err();
        assert!(told.contains(part), "{url}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
