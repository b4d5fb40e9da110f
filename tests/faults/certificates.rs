//! Certificates and keys that cannot be used: `leukd check` says why, and which command makes good
//! ones.

use crate::support::Folders;
use crate::support::keys::Ca;
use crate::support::process::{config_file, leukd, stderr};

/// What `openssl x509 -req -signkey` makes without extensions.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBHDCBwwIUbCcxGFzcL7y4OfRMQbkJ1vHsCnkwCgYIKoZIzj0EAwIwEDEOMAwG\n\
A1UEAwwFbGV1a2QwIBcNMjYxMTMwMTcyNzE3WhgPMjA4MTA5MDIxNzI3MTdaMBAx\n\
DjAMBgNVBAMMBWxldWtkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4tvdpTec\n\
6+HPdyNCenUWxsIwDg4wykGRm3DOqFvlnphw/AYuaK1nlcnKWCXTQEWk13eD4/Nc\n\
37NuWaV0hBmPqDAKBggqhkjOPQQDAgNIADBFAiEAoFoBLnJz8IKAN7liF7QBg5ss\n\
FA8khmKx2b0zeBi0X5wCIAc+6bPXAyXG3oJq+GnIvBqdZa4QHJ2iKFH6h2v1294t\n\
-----END CERTIFICATE-----\n\
";
const ITS_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSN+dQ0MKvOiz8D+O\n\
C66Sc2RD70VPK+ybW4Nnuby8RtmhRANCAATi292lN5zr4c93I0J6dRbGwjAODjDK\n\
QZGbcM6oW+WemHD8Bi5orWeVycpYJdNARaTXd4Pj81zfs25ZpXSEGY+o\n\
-----END PRIVATE KEY-----\n\
";

#[tokio::test]
async fn a_certificate_or_key_that_cannot_be_used_comes_with_the_command_that_mends_it() {
    let folders = Folders::new();
    let ca = Ca::new("lab CA");
    let (good, other) = (ca.server(), ca.server());
    let (certificate, key) = (good.certificate.as_str(), good.key.as_str());
    let (marked, reversed) = (format!("\u{feff}{certificate}"), format!("{}{certificate}", ca.pem));
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (name, certificate, key, words) in [
        ("good", certificate, key, ""),
        ("version 1", VERSION_1, ITS_KEY, "-extfile server.ext"),
        ("an encrypted key", certificate, locked.as_str(), "openssl pkey -in"),
        ("a byte-order mark", marked.as_str(), key, "tail -c +4"),
        ("exchanged", key, certificate, "are tls.certificate and tls.key exchanged?"),
        ("the CA first", reversed.as_str(), key, "cat server.pem ca.pem"),
        ("another's key", certificate, other.key.as_str(), "openssl x509 -in"),
    ] {
        let paths = ["server.pem", "server.key"].map(|file| folders.root.path().join(file));
        for (path, content) in paths.iter().zip([certificate, key]) {
            std::fs::write(path, content).unwrap();
        }
        let [certificate, key] = paths;
        let config = config_file(&folders, "tls.toml", |settings| {
            settings.tls.certificate = Some(certificate.into());
            settings.tls.key = Some(key.into());
        });
        let checked = leukd(&["check", "--config", config.to_str().unwrap()]).await;
        let told = stderr(&checked);
        if words.is_empty() {
            assert!(checked.status.success(), "{name}: {told}");
        } else {
            assert_eq!(checked.status.code(), Some(78), "{name}: {told}");
            assert!(told.replace('\n', " ").contains(words), "{name}: {told}");
        }
    }
}
