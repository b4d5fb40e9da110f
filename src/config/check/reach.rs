//! Checks of addresses, TLS and authentication.

use super::super::settings::{Access, ClientAuth, Page, Rpc, Settings, Tls};
use super::super::units::{Bytes, Span};
use super::{DAY, Findings};

pub(super) fn check(findings: &mut Findings, settings: &Settings) {
    let Settings { rpc, tls, access, .. } = settings;
    keys(findings, tls, access);
    listener(findings, rpc, tls, access);
    page(findings, settings);
    if let Some(socket) = &rpc.socket {
        // The kernel's sockaddr_un holds 108 bytes, the last one zero.
        const LONGEST: usize = 107;
        let apart = findings.absolute("rpc.socket", socket);
        if apart && socket.as_os_str().len() > LONGEST {
            let shown = socket.display();
            let message =
                format!("{shown} is longer than the {LONGEST} bytes that a socket's path may have");
            findings.problem("rpc.socket", message);
        }
        if settings.watch.folders.iter().any(|folder| socket.starts_with(folder)) {
            let message =
                "lies in a watched folder, where leukd never writes: put it into /run/leukd";
            findings.problem("rpc.socket", message);
        }
        if rpc.socket_mode.0 & 0o007 != 0 && access.file.is_none() {
            let message = format!(
                "{} lets every user of this machine do everything: take the last digit's rights away, or set access.file",
                rpc.socket_mode
            );
            findings.warning("rpc.socket_mode", message);
        }
    } else if !rpc.tcp {
        findings.problem("rpc.tcp", "is off and rpc.socket is not set: leukd could not be reached");
    }
    findings.count("rpc.max_connections", rpc.max_connections.into(), 4, 65_536);
    findings.count("access.max_requests", access.max_requests.into(), 1, 65_536);
    findings.count("access.max_streams", access.max_streams.into(), 1, 65_536);
    findings.bytes("access.max_bytes", access.max_bytes, Bytes(1024), Bytes::mib(65_536));
    if access.max_bytes < rpc.max_image_bytes {
        let message = format!(
            "{} is less than rpc.max_image_bytes ({}): the largest images would always be refused",
            access.max_bytes, rpc.max_image_bytes
        );
        findings.problem("access.max_bytes", message);
    }
}

fn keys(findings: &mut Findings, tls: &Tls, access: &Access) {
    for (key, file) in [
        ("tls.certificate", &tls.certificate),
        ("tls.key", &tls.key),
        ("tls.client_ca", &tls.client_ca),
        ("access.file", &access.file),
    ] {
        if let Some(Err(message)) = file.as_ref().map(super::super::files::KeyFile::check) {
            findings.problem(key, message);
        }
    }
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => {
            findings.problem("tls.key", "is missing: the certificate is of no use without its key");
        }
        (None, Some(_)) => findings
            .problem("tls.certificate", "is missing: the key is of no use without its certificate"),
        (None, None) if tls.client_ca.is_some() => {
            findings.problem("tls.client_ca", "asks for clients' certificates, but without tls.certificate and tls.key there is no TLS");
        }
        _ => {}
    }
    if tls.client_ca.is_none() && tls.client != ClientAuth::default() {
        findings.warning("tls.client", "does nothing without tls.client_ca");
    }
}

fn listener(findings: &mut Findings, rpc: &Rpc, tls: &Tls, access: &Access) {
    if !rpc.tcp || rpc.listen.ip().is_loopback() {
        return;
    }
    let listen = rpc.listen;
    if tls.certificate.is_none() {
        findings.problem(
            "rpc.listen",
            format!(
                "{listen} can be reached from other machines, and without TLS everybody on the way reads along: set \
                 tls.certificate and tls.key, or listen on 127.0.0.1 or [::1], or serve rpc.socket"
            ),
        );
    } else if access.file.is_none() && tls.client_ca.is_none() {
        findings.problem(
            "rpc.listen",
            format!(
                "{listen} can be reached from other machines, and nobody would be asked who he is: set access.file \
                 (leukd token new) or tls.client_ca"
            ),
        );
    }
}

/// The page has no TLS of its own yet, so that it may only listen where nobody can read along.
fn page(findings: &mut Findings, settings: &Settings) {
    let Page { enabled, listen, lock_after, .. } = settings.page;
    if !enabled {
        return;
    }
    if !listen.ip().is_loopback() {
        findings.problem(
            "page.listen",
            format!(
                "{listen} can be reached from other machines, and the page has no TLS of its own: listen on 127.0.0.1 or \
                 [::1], and reach it from elsewhere through a tunnel (ssh -L 8080:127.0.0.1:8080 WORKSTATION)"
            ),
        );
    }
    let others = [
        ("rpc.listen", settings.rpc.tcp.then_some(settings.rpc.listen)),
        ("metrics.listen", settings.metrics.enabled.then_some(settings.metrics.listen)),
    ];
    for (key, other) in others {
        if other == Some(listen) && listen.port() != 0 {
            let message = format!("{listen} is {key} too: write another port");
            findings.problem("page.listen", message);
        }
    }
    findings.span("page.lock_after", lock_after, Span::from_secs(60), DAY);
}
