//! The address of the other side.

use std::path::PathBuf;

/// Where messages go, as it is written on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `mllp://HOST:PORT`, or `mllps://HOST:PORT` with TLS.
    Mllp {
        /// The host's name or address.
        host: String,
        /// Its port.
        port: u16,
        /// TLS.
        tls: bool,
    },
    /// `http://…` or `https://…`, without a slash at its end.
    Http {
        /// All of it.
        url: String,
        /// TLS.
        tls: bool,
        /// The host is this machine.
        near: bool,
    },
    /// A folder.
    Folder(PathBuf),
}

/// An address that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no address: write mllp://HOST:PORT, mllps://HOST:PORT, http(s)://HOST/PATH or a folder"
)]
pub struct PlaceError(String);

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    /// It has none of the forms.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let wrong = || PlaceError(text.to_owned());
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.trim().is_empty() {
                Err(wrong())
            } else {
                Ok(Self::Folder(text.into()))
            };
        };
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c)) {
            return Err(wrong());
        }
        match scheme {
            "mllp" | "mllps" => {
                let (host, port) = authority(rest.trim_end_matches('/')).ok_or_else(wrong)?;
                Ok(Self::Mllp { host, port: port.ok_or_else(wrong)?, tls: scheme == "mllps" })
            }
            "http" | "https" => {
                let (host, _) =
                    authority(rest.split('/').next().unwrap_or_default()).ok_or_else(wrong)?;
                let ip = host.parse::<std::net::IpAddr>();
                let near = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
                let url = text.trim_end_matches('/').to_owned();
                Ok(Self::Http { url, tls: scheme == "https", near })
            }
            _ => Err(wrong()),
        }
    }
}

/// Host, without the brackets of an IPv6 address, and port.
fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = !host.is_empty() && !host.contains('/');
    let port = port.map(str::parse).transpose().ok()?.filter(|port| *port != 0 || !plain);
    plain.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_one_of_three_forms() {
        let mllp = |host: &str, port, tls| Place::Mllp { host: host.to_owned(), port, tls };
        assert_eq!(Place::parse("mllp://lims:2575").unwrap(), mllp("lims", 2575, false));
        assert_eq!(Place::parse("mllps://[::1]:1/").unwrap(), mllp("::1", 1, true));
        let url = "https://fhir.lab.example:8443/fhir".to_owned();
        let http = Place::Http { url: url.clone(), tls: true, near: false };
        assert_eq!(Place::parse(&format!("{url}/")).unwrap(), http);
        assert!(matches!(Place::parse("http://[::1]/r4"), Ok(Place::Http { near: true, .. })));
        assert_eq!(Place::parse("/srv/import").unwrap(), Place::Folder("/srv/import".into()));
        for wrong in [
            "",
            "mllp://lims",
            "mllp://lims:0",
            "mllp://:1",
            "mllp://a:b",
            "ftp://a",
            "https://",
            "http://a b/",
            "https://u@h/",
            "mllp://a/b:1",
            "http://[1]/",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
