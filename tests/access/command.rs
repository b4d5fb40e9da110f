//! The real program: what it refuses to serve, how it makes tokens, and how it proves who it is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::keys::{Ca, ask_for_certificates, speak_tls};
use crate::support::process::{Process, config_file, leukd, stderr, stdout};
use crate::support::{Folders, PATIENCE, until};
use leukd::config::settings::ClientAuth;

/// Runs `leukd` with these variables, in bounded time.
async fn leukd_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, run).await.expect("leukd ends in time").unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_without_tls_or_without_anybody_who_asks() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let config = config_file(&folders, "clear.toml", |settings| {
        settings.rpc.listen = "0.0.0.0:0".parse().unwrap();
    });
    let refused = leukd(&["serve", "--config", text(&config)]).await;
    assert_eq!(code(&refused), 78, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("rpc.listen: 0.0.0.0:0 can be reached from other machines"));
    assert!(stderr(&refused).contains("set tls.certificate and tls.key"), "{}", stderr(&refused));
    let config = config_file(&folders, "nobody.toml", |settings| {
        settings.rpc.listen = "0.0.0.0:0".parse().unwrap();
        speak_tls(settings, &root, &Ca::new("ca"));
    });
    let refused = leukd(&["serve", "--config", text(&config)]).await;
    assert_eq!(code(&refused), 78, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("nobody would be asked who he is"), "{}", stderr(&refused));
}

#[tokio::test]
async fn keys_and_rules_that_do_not_work_at_the_start_are_refused_with_their_file() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    std::fs::write(root.join("bad.toml"), "[[token]]\nname = 3\n").unwrap();
    for (name, says) in [
        ("mixed", "server.key is not the key of"),
        ("missing", "server.pem cannot be read"),
        ("rules", "bad.toml: line 2"),
        ("credential", "CREDENTIALS_DIRECTORY is not set"),
    ] {
        let config = config_file(&folders, "leukd.toml", |settings| {
            speak_tls(settings, &root, &Ca::new("ca"));
            match name {
                "mixed" => {
                    std::fs::write(root.join("server.key"), Ca::new("x").server().key).unwrap();
                }
                "missing" => std::fs::remove_file(root.join("server.pem")).unwrap(),
                "rules" => settings.access.file = Some(root.join("bad.toml").into()),
                _ => settings.tls.key = Some(Path::new("credential:tls.key").to_owned().into()),
            }
        });
        // Only the unit is handed a credential: a check outside of it cannot know.
        for command in ["serve", "check"].into_iter().take(if name == "credential" { 1 } else { 2 })
        {
            let refused = leukd(&[command, "--config", text(&config)]).await;
            assert_eq!(code(&refused), 78, "{command} {name}: {}", stderr(&refused));
            assert!(stderr(&refused).contains(says), "{command} {name}: {}", stderr(&refused));
            // The line of the setting whose file it is.
            assert!(
                stderr(&refused).contains("leukd.toml:"),
                "{command} {name}: {}",
                stderr(&refused)
            );
            if name == "mixed" {
                assert!(stderr(&refused).contains("tls.key: "), "{}", stderr(&refused));
            }
        }
    }
}

#[tokio::test]
async fn a_check_outside_the_unit_warns_of_what_only_the_unit_is_handed() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let config = config_file(&folders, "leukd.toml", |settings| {
        speak_tls(settings, &root, &Ca::new("ca"));
        settings.tls.key = Some(Path::new("credential:tls.key").to_owned().into());
    });
    let checked = leukd(&["check", "--config", text(&config)]).await;
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    let warned = "warning: tls.key: credential:tls.key is handed to the unit alone";
    assert!(stderr(&checked).contains(warned), "{}", stderr(&checked));
    // What can be looked at still is.
    let config = config_file(&folders, "leukd.toml", |settings| {
        speak_tls(settings, &root, &Ca::new("ca"));
        settings.tls.key = Some(Path::new("credential:tls.key").to_owned().into());
        std::fs::write(root.join("bad.toml"), "[[token]]\nname = 3\n").unwrap();
        settings.access.file = Some(root.join("bad.toml").into());
    });
    let refused = leukd(&["check", "--config", text(&config)]).await;
    assert_eq!(code(&refused), 78, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("bad.toml: line 2"), "{}", stderr(&refused));
}

#[tokio::test]
async fn a_check_by_another_user_than_the_states_owner_says_what_it_cannot_know() {
    let folders = Folders::new();
    let mut state = std::path::PathBuf::new();
    let config = config_file(&folders, "leukd.toml", |settings| {
        state.clone_from(&settings.journal.directory);
    });
    std::fs::create_dir_all(&state).unwrap();
    let own = leukd(&["check", "--config", text(&config)]).await;
    assert_eq!(code(&own), 0, "{}", stderr(&own));
    assert!(!stderr(&own).contains("belongs to user"), "{}", stderr(&own));
    if std::os::unix::fs::chown(&state, Some(12_345), None).is_err() {
        println!("skipped: only the superuser may give a folder away");
        return;
    }
    let checked = leukd(&["check", "--config", text(&config)]).await;
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    assert!(stderr(&checked).contains("belongs to user 12345"), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("sudo -u '#12345' leukd check"), "{}", stderr(&checked));
}

#[tokio::test]
async fn a_token_is_shown_once_listed_without_its_secret_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.toml");
    let file = text(&file);
    let made = leukd(&[
        "token",
        "new",
        "lims",
        "--scope",
        "classify",
        "--scope",
        "read",
        "--expires",
        "365d",
        "--file",
        file,
    ])
    .await;
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let token = stdout(&made).trim().to_owned();
    assert!(token.starts_with("leukd_") && token.len() == 49, "{token}");
    assert!(stderr(&made).contains("it is not shown again"), "{}", stderr(&made));
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(!kept.contains(&token) && kept.contains("sha256 = "), "{kept}");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "others may not read it");
    let listed = stdout(&leukd(&["token", "list", "--file", file]).await);
    assert!(listed.contains("lims") && listed.contains("classify,read"), "{listed}");
    let json = stdout(&leukd(&["token", "list", "--json", "--file", file]).await);
    let json: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((json["name"].as_str(), json["expired"].as_bool()), (Some("lims"), Some(false)));
    let again = leukd(&["token", "new", "lims", "--scope", "read", "--file", file]).await;
    assert_eq!(code(&again), 65, "{}", stderr(&again));
    let bad = leukd(&["token", "new", "x", "--scope", "root", "--file", file]).await;
    assert_eq!(code(&bad), 64);
    let printed = stdout(&leukd(&["token", "new", "other", "--scope", "admin", "--print"]).await);
    assert!(printed.contains("[[token]]") && printed.contains("scopes = [\"admin\"]"), "{printed}");
    assert_eq!(code(&leukd(&["token", "revoke", "lims", "--file", file]).await), 0);
    assert_eq!(code(&leukd(&["token", "revoke", "lims", "--file", file]).await), 66);
    assert!(!std::fs::read_to_string(file).unwrap().contains("lims"));
}

/// Whoever may read the folder may lock it, and the access file where he may read that.
#[tokio::test]
async fn a_local_user_who_locks_what_he_can_read_holds_no_revocation_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.toml");
    let made = leukd(&["token", "new", "lims", "--scope", "read", "--file", text(&file)]).await;
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let locks = [folder.path(), &file].map(|path| std::fs::File::open(path).unwrap());
    for lock in &locks {
        rustix::fs::flock(lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    }
    let revoked = leukd(&["token", "revoke", "lims", "--file", text(&file)]).await;
    assert_eq!(code(&revoked), 0, "{}", stderr(&revoked));
    let lock = std::fs::metadata(folder.path().join(".access.toml.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600, "nobody else can open it");
}

#[tokio::test]
async fn the_program_shows_its_token_from_a_file_or_a_variable_and_says_what_is_missing() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let (ca, access) = (Ca::new("ca"), root.join("access.toml"));
    std::fs::write(&access, "").unwrap();
    std::fs::write(root.join("ca.pem"), &ca.pem).unwrap();
    std::fs::write(root.join("other.pem"), Ca::new("other").pem).unwrap();
    let process = Process::serve_with(&folders, |settings| {
        speak_tls(settings, &root, &ca);
        settings.access.file = Some(access.clone().into());
    });
    let config = root.join("leukd.toml");
    let made =
        leukd(&["token", "new", "reader", "--scope", "read", "--config", text(&config)]).await;
    let token = stdout(&made);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let token_file = root.join("token");
    std::fs::write(&token_file, &token).unwrap();
    let server = format!("https://localhost:{}", process.address.port());
    let ca_file = root.join("ca.pem");
    let status = ["status", "--server", &server, "--ca", text(&ca_file)];
    until("the token to be known", async || {
        let asked = leukd_with(&[("LEUKD_TOKEN", token.trim())], &status).await;
        (code(&asked) == 0).then_some(())
    })
    .await;
    let with_file = [&status[..], &["--token-file", text(&token_file)]].concat();
    assert_eq!(code(&leukd(&with_file).await), 0);
    // Without a scheme, whoever names a CA means TLS.
    let bare = format!("127.0.0.1:{}", process.address.port());
    let variables = [
        ("LEUKD_SERVER", bare.as_str()),
        ("LEUKD_CA", text(&ca_file)),
        ("LEUKD_TOKEN_FILE", text(&token_file)),
    ];
    let once = leukd_with(&variables, &["tail", "--once"]).await;
    assert_eq!(code(&once), 0, "{}", stderr(&once));

    let nobody = leukd(&status).await;
    assert_eq!(code(&nobody), 77);
    assert!(stderr(&nobody).contains("--token-file"), "{}", stderr(&nobody));
    let reload = leukd_with(&variables, &["reload"]).await;
    assert_eq!(code(&reload), 77);
    assert!(stderr(&reload).contains("token:reader lacks the scope admin"), "{}", stderr(&reload));
    let other = root.join("other.pem");
    let wrong = leukd(&["status", "--server", &server, "--ca", text(&other)]).await;
    assert_eq!(code(&wrong), 69);
    assert!(stderr(&wrong).contains("nobody we trust has signed"), "{}", stderr(&wrong));
    let no_pem = leukd(&["status", "--server", &server, "--ca", text(&token_file)]).await;
    assert_eq!(code(&no_pem), 65, "{}", stderr(&no_pem));
    let clear =
        leukd(&["status", "--server", &format!("http://{bare}"), "--ca", text(&ca_file)]).await;
    assert_eq!(code(&clear), 64, "{}", stderr(&clear));
    let unsaid = leukd(&["status", "--server", &format!("http://{bare}")]).await;
    assert_eq!(code(&unsaid), 69, "{}", stderr(&unsaid));
    assert!(stderr(&unsaid).contains("TLS wants https://"), "{}", stderr(&unsaid));
    let network =
        leukd_with(&[("LEUKD_TOKEN", token.trim())], &["status", "--server", "http://192.0.2.1:1"])
            .await;
    assert_eq!(code(&network), 64, "{}", stderr(&network));
    assert!(stderr(&network).contains("in the clear"), "{}", stderr(&network));
    for output in [nobody, reload, wrong, no_pem, network] {
        assert!(!stderr(&output).contains(token.trim()), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn the_program_shows_its_certificate_and_says_why_it_is_refused() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
    std::fs::write(root.join("ca.pem"), &ca.pem).unwrap();
    let process = Process::serve_with(&folders, |settings| {
        speak_tls(settings, &root, &ca);
        ask_for_certificates(settings, &root, &clients);
        settings.tls.client = ClientAuth::Required;
    });
    let server = format!("https://localhost:{}", process.address.port());
    let ca_file = root.join("ca.pem");
    let status = ["status", "--server", &server, "--ca", text(&ca_file)];
    for (name, pair, expected, says) in [
        ("good", clients.client("lims"), 0, ""),
        ("foreign", Ca::new("foreign").client("lims"), 77, "refuses our certificate"),
        ("ended", clients.ended_client("lims"), 77, "it has expired"),
    ] {
        let (certificate, key) = pair.write(&root, name);
        let arguments =
            [&status[..], &["--cert", text(&certificate), "--key", text(&key)]].concat();
        let asked = leukd(&arguments).await;
        assert_eq!(code(&asked), expected, "{name}: {}", stderr(&asked));
        assert!(stderr(&asked).contains(says), "{name}: {}", stderr(&asked));
    }
    let without = leukd(&status).await;
    assert_eq!(code(&without), 77, "{}", stderr(&without));
    assert!(stderr(&without).contains("--cert and --key"), "{}", stderr(&without));
    drop(process);
}

#[tokio::test]
async fn an_expired_server_certificate_is_told_by_the_program() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let ca = Ca::new("ca");
    std::fs::write(root.join("ca.pem"), &ca.pem).unwrap();
    let process = Process::serve_with(&folders, |settings| {
        speak_tls(settings, &root, &ca);
        ca.ended_server().write(&root, "server");
    });
    let server = format!("https://localhost:{}", process.address.port());
    let asked = leukd(&["status", "--server", &server, "--ca", text(&root.join("ca.pem"))]).await;
    assert_eq!(code(&asked), 69);
    assert!(stderr(&asked).contains("has expired"), "{}", stderr(&asked));
}

#[tokio::test]
async fn the_program_speaks_over_the_socket_and_a_killed_daemons_socket_is_replaced() {
    let folders = Folders::new();
    let socket = folders.root.path().join("leukd.sock");
    let serve =
        || Process::serve_with(&folders, |settings| settings.rpc.socket = Some(socket.clone()));
    let mut first = serve();
    let server = format!("unix:{}", socket.display());
    let asked = leukd(&["status", "--json", "--server", &server]).await;
    assert_eq!(code(&asked), 0, "{}", stderr(&asked));
    let other = Folders::new();
    let config =
        config_file(&other, "other.toml", |settings| settings.rpc.socket = Some(socket.clone()));
    let second = leukd(&["serve", "--config", text(&config)]).await;
    assert_eq!(code(&second), 69, "{}", stderr(&second));
    assert!(stderr(&second).contains("is in use"), "{}", stderr(&second));
    first.kill();
    assert!(socket.exists());
    let asked = leukd(&["status", "--server", &server]).await;
    assert_eq!(code(&asked), 69, "{}", stderr(&asked));
    let _third = serve();
    let asked = leukd(&["status", "--server", &server]).await;
    assert_eq!(code(&asked), 0, "{}", stderr(&asked));
}

#[tokio::test]
async fn hangup_reads_keys_again_and_tells_of_bad_ones_at_once() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let ca = Ca::new("ca");
    let process = Process::serve_with(&folders, |settings| speak_tls(settings, &root, &ca));
    std::fs::write(root.join("server.key"), "no key").unwrap();
    process.signal(rustix::process::Signal::HUP);
    process.line_with(&["holds no private key that can be used"]);
    process.line_with(&["the previous one stays in force"]);
}

#[tokio::test]
async fn keys_that_every_user_may_read_are_warned_of() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        let config = config_file(&folders, "leukd.toml", |settings| {
            speak_tls(settings, &root, &Ca::new("ca"));
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(root.join("server.key"), permissions).unwrap();
        });
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_leukd"))
            .args(["serve", "--config", text(&config)])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(
            child.stderr.take().unwrap(),
        ));
        let seen = async {
            let mut seen = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                seen.push_str(&line);
                if line.contains("listening on") {
                    break;
                }
            }
            seen
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap();
        assert_eq!(seen.contains("every user of this machine may read"), warned, "{seen}");
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn keys_come_from_systemds_credentials() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let ca = Ca::new("ca");
    let config = config_file(&folders, "leukd.toml", |settings| {
        speak_tls(settings, &root, &ca);
        for (setting, name) in
            [(&mut settings.tls.certificate, "server.pem"), (&mut settings.tls.key, "server.key")]
        {
            *setting = Some(std::path::PathBuf::from(format!("credential:{name}")).into());
        }
    });
    let arguments = ["serve", "--config", text(&config)];
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(arguments)
        .env("CREDENTIALS_DIRECTORY", &root)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
    let listens = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("listening on") {
                return line;
            }
        }
        panic!("it ended");
    };
    let line = tokio::time::timeout(PATIENCE, listens).await.unwrap();
    assert!(line.contains("tls=true"), "{line}");
    child.kill().await.unwrap();
}
