//! Checks of `[forward]`.

use leukd_fleet::{Address, TlsFiles, check_site_name};

use super::super::settings::Settings;
use super::Findings;

pub(super) fn check(findings: &mut Findings, settings: &Settings) {
    let own = &settings.forward;
    for (key, file) in [
        ("forward.password_file", &own.password_file),
        ("forward.ca", &own.ca),
        ("forward.certificate", &own.certificate),
        ("forward.key", &own.key),
    ] {
        if let Some(Err(message)) = file.as_ref().map(super::super::files::KeyFile::check) {
            findings.problem(key, message);
        } else if file.is_some() && own.url.is_none() {
            findings.warning(key, "does nothing without forward.url");
        }
    }
    match (&own.certificate, &own.key) {
        (Some(_), None) => {
            findings.problem("forward.key", "is missing: forward.certificate needs its key");
        }
        (None, Some(_)) => {
            findings
                .problem("forward.certificate", "is missing: forward.key needs its certificate");
        }
        _ => {}
    }
    match (&own.url, &own.site) {
        (None, None) => {}
        (None, Some(_)) => {
            findings.problem("forward.url", "is missing: forward.site names a site of its store");
        }
        (Some(_), None) => findings.problem(
            "forward.site",
            "is missing: write the name that leukd lab init gave this workstation",
        ),
        (Some(url), Some(site)) => {
            if let Err(message) = check_site_name(site) {
                findings.problem("forward.site", message);
            }
            if let Err(message) = Address::new(url, None, TlsFiles::default()) {
                findings.problem("forward.url", message);
            }
        }
    }
}
