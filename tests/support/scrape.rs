//! A scrape of the metrics endpoint over plain TCP, and its samples.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::PATIENCE;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// Sends one request's head, as it is, and reads until the server closes.
pub async fn raw(address: SocketAddr, head: &str) -> Answer {
    let answer = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let text = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let content_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_default()
        .to_owned();
    Answer { status, content_type, body: body.to_owned() }
}

/// GETs a path in Prometheus' own text format.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    raw(address, &format!("GET {path} HTTP/1.1\r\nHost: leukd\r\n\r\n")).await
}

/// One scrape's samples: `name{label="value",…}` → value, labels in the order of the page.
pub struct Samples {
    pub values: BTreeMap<String, f64>,
    /// name → kind, of the `# TYPE` lines.
    pub types: BTreeMap<String, String>,
}

impl Samples {
    pub fn parse(page: &str) -> Self {
        let (mut values, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            } else if !line.starts_with('#') && !line.is_empty() {
                let (key, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(values.insert(key.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        Self { values, types }
    }

    /// The one sample of this name whose labels hold all of `labels` (`name="value"`).
    pub fn one(&self, name: &str, labels: &[&str]) -> f64 {
        let found: Vec<_> = self
            .values
            .iter()
            .filter(|(key, _)| {
                key.split('{').next() == Some(name)
                    && labels.iter().all(|label| key.contains(label))
            })
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        *found[0].1
    }

    /// The sum of all samples of this name.
    pub fn sum(&self, name: &str) -> f64 {
        let own = self.values.iter().filter(|(key, _)| key.split('{').next() == Some(name));
        own.map(|(_, value)| value).sum()
    }

    /// Every label's name that a metric's samples have, without `le`.
    pub fn labels(&self, name: &str) -> BTreeSet<String> {
        let endings = ["", "_bucket", "_sum", "_count"].map(|ending| format!("{name}{ending}"));
        let own = self.values.keys().filter_map(|key| {
            let (of, labels) = key.strip_suffix('}')?.split_once('{')?;
            endings.iter().any(|name| name == of).then_some(labels)
        });
        let names = own.flat_map(|labels| {
            // A value may hold anything but an unescaped quotation mark.
            labels.split("\",").map(|label| label.split("=\"").next().unwrap().to_owned())
        });
        names.filter(|name| name != "le").collect()
    }
}

/// Scrapes.
pub async fn samples(address: SocketAddr) -> Samples {
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Samples::parse(&answer.body)
}
