//! Why a certificate or a key cannot be used, with the command that makes a good one.

use std::path::Path;

use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Certificate,
    Key,
}

/// What is wrong with a file's text, where that can be said better than by a parser.
pub(super) fn fault(path: &Path, content: &[u8], wanted: Wanted) -> Option<String> {
    let shown = path.display();
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        return Some(format!(
            "{shown} is UTF-16 text, as some Windows programs write it: iconv -f UTF-16 -t ASCII {shown} > good.pem"
        ));
    }
    if content.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Some(format!(
            "{shown} begins with a byte-order mark, which PEM does not allow: tail -c +4 {shown} > good.pem"
        ));
    }
    let has = |words: &str| content.windows(words.len()).any(|part| part == words.as_bytes());
    // DER is one SEQUENCE, whose length takes two bytes.
    if content.starts_with(&[0x30, 0x82]) && !has("-----BEGIN") {
        return Some(match wanted {
            Wanted::Certificate => format!(
                "{shown} is binary (DER or PKCS #12), and PEM is needed: openssl x509 -inform der -in {shown} \
                 -out good.pem, or openssl pkcs12 -in {shown} -nokeys -out good.pem"
            ),
            Wanted::Key => format!(
                "{shown} is binary (DER or PKCS #12), and PEM is needed: openssl pkey -inform der -in {shown} \
                 -out good.key, or openssl pkcs12 -in {shown} -nocerts -noenc -out good.key"
            ),
        });
    }
    let (certificate, key) = (has("-----BEGIN CERTIFICATE-----"), has("PRIVATE KEY-----"));
    match wanted {
        Wanted::Key if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("4,ENCRYPTED") => {
            Some(format!(
                "{shown} is encrypted, and nobody is there to give its passphrase: openssl pkey -in {shown} \
                 -out good.key, and let only leukd read that one (install -o root -g leukd -m 640)"
            ))
        }
        Wanted::Key if certificate && !key => Some(format!(
            "{shown} holds a certificate and no key: are tls.certificate and tls.key exchanged?"
        )),
        Wanted::Certificate if key && !certificate => Some(format!(
            "{shown} holds a key and no certificate: are tls.certificate and tls.key exchanged?"
        )),
        Wanted::Certificate if has("-----BEGIN TRUSTED CERTIFICATE-----") && !certificate => {
            Some(format!(
                "{shown} is OpenSSL's own kind of certificate: openssl x509 -in {shown} -out good.pem"
            ))
        }
        Wanted::Certificate if has("-----BEGIN CERTIFICATE REQUEST-----") && !certificate => {
            Some(format!(
                "{shown} is a request that no CA has signed yet: openssl x509 -req -in {shown} -CA ca.pem \
                 -CAkey ca.key -CAcreateserial -days 365 -extfile server.ext -out server.pem, where server.ext holds \
                 subjectAltName=DNS:NAME and extendedKeyUsage=serverAuth; or make another with `leukd tls new-server`"
            ))
        }
        _ => None,
    }
}

/// True for a certificate of version 1 or 2, which no TLS client takes.
pub(super) fn is_old(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() != X509Version::V3
}

/// How a certificate of version 3 is made.
pub(super) const NEW_VERSION: &str = "is an X.509 certificate of version 1, which TLS clients refuse. Sign the request again with \
     extensions: openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 \
     -extfile server.ext -out server.pem, where server.ext holds subjectAltName=DNS:NAME and \
     extendedKeyUsage=serverAuth; or make another with `leukd tls new-server`";

/// Why a key and a chain do not fit. `place` is that of the certificate in the chain which the key
/// belongs to, counted from 0.
pub(super) fn mismatch(certificate: &Path, key: &Path, place: Option<usize>) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match place {
        Some(place) => format!(
            "{key} is the key of certificate {} in {certificate}, and must be that of the first: put the server's \
             certificate first and its CA behind it (cat server.pem ca.pem > chain.pem)",
            place + 1
        ),
        None => format!(
            "{key} is not the key of {certificate}: `openssl x509 -in {certificate} -noout -pubkey` and `openssl pkey \
             -in {key} -pubout` must print the same"
        ),
    }
}

/// Reads one certificate.
pub(super) fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_odd_file_is_named_with_its_cure() {
        const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\n";
        const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\n";
        let told = |content: &[u8], wanted| fault(Path::new("f.pem"), content, wanted);
        let marked = [&[0xef, 0xbb, 0xbf], CERTIFICATE].concat();
        for (content, wanted, words) in [
            (&marked[..], Wanted::Certificate, "tail -c +4 f.pem"),
            (b"\xff\xfe-\0", Wanted::Key, "iconv"),
            (b"\x30\x82\x01\x02", Wanted::Certificate, "openssl x509 -inform der"),
            (b"\x30\x82\x01\x02", Wanted::Key, "openssl pkey -inform der"),
            (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", Wanted::Key, "openssl pkey -in f.pem"),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                Wanted::Key,
                "openssl pkey -in f.pem",
            ),
            (CERTIFICATE, Wanted::Key, "exchanged"),
            (KEY, Wanted::Certificate, "exchanged"),
            (b"-----BEGIN CERTIFICATE REQUEST-----", Wanted::Certificate, "openssl x509 -req"),
            (b"-----BEGIN TRUSTED CERTIFICATE-----", Wanted::Certificate, "openssl x509 -in"),
        ] {
            let what = told(content, wanted).unwrap_or_default();
            assert!(what.contains(words) && what.contains("f.pem"), "{words}: {what:?}");
        }
        assert_eq!(told(CERTIFICATE, Wanted::Certificate), None);
        assert_eq!(told(&[CERTIFICATE, KEY].concat(), Wanted::Key), None);
    }
}
