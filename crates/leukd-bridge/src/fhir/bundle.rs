//! A round as a transaction Bundle of conditional creates: a repeat of it makes nothing new.

use leukd_journal::fraction::Share;
use leukd_journal::result::RESEARCH_USE_ONLY;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::codes::{Codes, Key};
use super::super::message::Message;
use super::super::round::{Count, Round, Standing};

/// The identifiers' systems.
#[derive(Debug, Clone)]
pub struct Systems {
    /// Of specimens: a site's own, where its server has them already.
    pub specimen: String,
}

impl Default for Systems {
    fn default() -> Self {
        Self { specimen: "urn:leukd:specimen".to_owned() }
    }
}

/// Of reports and observations: `epoch:sequence`, and a word after a `/`.
const ROUND: &str = "urn:leukd:round";

/// Of devices: a model's digest.
const MODEL: &str = "urn:leukd:model";

/// An entry's resource, its kind and the identifier that it is known by.
struct Entry {
    kind: &'static str,
    system: String,
    value: String,
    resource: Json,
}

impl Entry {
    fn new(kind: &'static str, system: &str, value: &str, mut resource: Json) -> Self {
        resource["resourceType"] = json!(kind);
        resource["identifier"] = json!([{ "system": system, "value": value }]);
        Self { kind, system: system.to_owned(), value: value.to_owned(), resource }
    }

    /// The entry's name within the Bundle, which the server replaces by what it creates or has.
    fn url(&self) -> String {
        let digest = Sha256::digest(format!("{}|{}|{}", self.kind, self.system, self.value));
        let mut bytes: [u8; 16] = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // A UUID of version 8, whose bits are ours.
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
    }

    fn into_json(self) -> Json {
        let identifier = format!("{}|{}", parameter(&self.system), parameter(&self.value));
        json!({
            "fullUrl": self.url(),
            "resource": self.resource,
            "request": {
                "method": "POST",
                "url": self.kind,
                "ifNoneExist": format!("identifier={}", percent(&identifier)),
            },
        })
    }
}

/// A search parameter's value: FHIR's own separators are escaped.
fn parameter(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\,|$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Percent-encoded for a query.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:|".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

/// Encodes a round.
#[must_use]
pub fn encode(round: &Round, codes: &Codes, systems: &Systems) -> Message {
    let specimen = Entry::new(
        "Specimen",
        &systems.specimen,
        &round.specimen,
        json!({
            "note": [{ "text": RESEARCH_USE_ONLY }],
        }),
    );
    let device = round.model.as_ref().map(|model| {
        Entry::new(
            "Device",
            MODEL,
            &model.digest,
            json!({
                "deviceName": [{ "name": "leukd", "type": "manufacturer-name" }],
                "modelNumber": model.id,
                "note": [{ "text": RESEARCH_USE_ONLY }],
            }),
        )
    });
    let place = (specimen.url(), device.as_ref().map(Entry::url));
    let mut observations = vec![cells(round, codes, &place)];
    observations.push(fraction(round, codes, &place, FRACTIONS[0], round.blasts()));
    observations.push(fraction(round, codes, &place, FRACTIONS[1], round.corrected.clone()));
    let results: Vec<_> =
        observations.iter().map(|entry| json!({ "reference": entry.url() })).collect();
    let mut report = Entry::new(
        "DiagnosticReport",
        ROUND,
        &round.id(),
        json!({
            "status": status(round),
            "code": concept(codes, Key::Panel),
            "specimen": [{ "reference": place.0 }],
            "effectivePeriod": period(round),
            "issued": round.stored.to_rfc3339(),
            "result": results,
            "conclusion": RESEARCH_USE_ONLY,
        }),
    );
    // All reports of a specimen have the second one: the newest of them counts.
    if let Some(identifiers) = report.resource["identifier"].as_array_mut() {
        identifiers.push(json!({ "system": systems.specimen, "value": round.specimen }));
    }
    let entries = [specimen].into_iter().chain(device).chain(observations).chain([report]);
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": entries.map(Entry::into_json).collect::<Vec<_>>(),
    });
    Message {
        epoch: round.epoch.clone(),
        sequence: round.sequence,
        file: round.file_name("json"),
        id: round.id(),
        body: bundle.to_string(),
    }
}

/// References to the specimen and the model.
type Place = (String, Option<String>);

/// What every observation has.
fn observation(round: &Round, codes: &Codes, place: &Place, key: Key) -> Json {
    let mut resource = json!({
        "status": status(round),
        "category": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory",
        }] }],
        "code": concept(codes, key),
        "specimen": { "reference": place.0 },
        "effectivePeriod": period(round),
        "issued": round.stored.to_rfc3339(),
        "note": [{ "text": RESEARCH_USE_ONLY }],
    });
    if let Some(device) = &place.1 {
        resource["device"] = json!({ "reference": device });
    }
    resource
}

fn named(round: &Round, key: Key, resource: Json) -> Entry {
    Entry::new("Observation", ROUND, &format!("{}/{}", round.id(), key.word()), resource)
}

/// The counts, each a component.
fn cells(round: &Round, codes: &Codes, place: &Place) -> Entry {
    let counts = [
        (Key::All, round.cells.all),
        (Key::Hem, round.cells.hem),
        (Key::Review, round.cells.review),
        (Key::Rejected, round.cells.rejected),
    ];
    let component = |(key, count)| json!({ "code": concept(codes, key), "valueQuantity": quantity(count as f64, "{cells}") });
    let mut resource = observation(round, codes, place, Key::Panel);
    resource["component"] = counts.map(component).into_iter().collect();
    named(round, Key::Panel, resource)
}

/// The keys of a fraction and of its interval's ends.
const FRACTIONS: [[Key; 3]; 2] = [
    [Key::Blasts, Key::BlastsLower, Key::BlastsUpper],
    [Key::Corrected, Key::CorrectedLower, Key::CorrectedUpper],
];

/// A share in percent with its interval, or the reason why there is none.
fn fraction(round: &Round, codes: &Codes, place: &Place, keys: [Key; 3], count: Count) -> Entry {
    let [key, lower, upper] = keys;
    let mut resource = observation(round, codes, place, key);
    match count {
        Count::Share(Share { value, lower: from, upper: to }) => {
            resource["valueQuantity"] = percentage(value);
            let end = |key, share| json!({ "code": concept(codes, key), "valueQuantity": percentage(share) });
            resource["component"] = json!([end(lower, from), end(upper, to)]);
        }
        Count::Missing(word) => {
            resource["dataAbsentReason"] = json!({
                "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                    "code": "unknown",
                }],
                "text": word,
            });
        }
    }
    named(round, key, resource)
}

fn percentage(share: f64) -> Json {
    // Two digits, as in the other encodings.
    quantity((share * 10_000.0).round() / 100.0, "%")
}

fn quantity(value: f64, unit: &str) -> Json {
    // A whole number has no ".0", which FHIR would take for a claim of precision.
    let value =
        if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) };
    json!({ "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit })
}

fn concept(codes: &Codes, key: Key) -> Json {
    let coding = codes
        .of(key)
        .into_iter()
        .map(|code| json!({ "system": code.uri(), "code": code.code, "display": code.text }));
    json!({ "coding": coding.collect::<Vec<_>>(), "text": key.text() })
}

fn period(round: &Round) -> Json {
    json!({ "start": round.first.to_rfc3339(), "end": round.last.to_rfc3339() })
}

const fn status(round: &Round) -> &'static str {
    match round.standing() {
        Standing::Preliminary => "preliminary",
        Standing::Correction => "amended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::tests::round;

    fn bundle(round: &Round) -> Json {
        let message = encode(round, &Codes::default(), &Systems::default());
        serde_json::from_str(&message.body).unwrap()
    }

    fn kind(entry: &Json) -> &str {
        entry["resource"]["resourceType"].as_str().unwrap()
    }

    #[test]
    fn every_entry_is_created_unless_its_identifier_is_there() {
        let bundle = bundle(&round("a|b,c $\\é"));
        let entries = bundle["entry"].as_array().unwrap();
        let kinds: Vec<_> = entries.iter().map(kind).collect();
        let expected =
            ["Specimen", "Device", "Observation", "Observation", "Observation", "DiagnosticReport"];
        assert_eq!(kinds, expected);
        let urls: std::collections::BTreeSet<_> =
            entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        assert_eq!(urls.len(), entries.len());
        let condition = |at: usize| entries[at]["request"]["ifNoneExist"].as_str().unwrap();
        let specimen = "identifier=urn:leukd:specimen|a%5C|b%5C%2Cc%20%5C%24%5C%5C%C3%A9";
        assert_eq!(condition(0), specimen);
        let report = "identifier=urn:leukd:round|6b3b0775-4a71-4012-89e9-f8b72b474208:17";
        assert_eq!(condition(5), report);
        for entry in entries {
            let notice = entry["resource"].to_string();
            assert!(notice.contains(RESEARCH_USE_ONLY), "{notice}");
        }
        for reference in entries[5]["resource"]["result"].as_array().unwrap() {
            assert!(urls.contains(reference["reference"].as_str().unwrap()));
        }
    }

    #[test]
    fn a_later_round_is_an_amendment_of_the_same_specimen() {
        let (first, later) = (round("11"), Round { round: 2, sequence: 30, ..round("11") });
        let report = |round| bundle(round)["entry"].as_array().unwrap().last().unwrap().clone();
        let (first, later) = (report(&first), report(&later));
        assert_eq!(first["resource"]["status"], "preliminary");
        assert_eq!(later["resource"]["status"], "amended");
        assert_ne!(first["fullUrl"], later["fullUrl"]);
        assert_eq!(first["resource"]["identifier"][1], later["resource"]["identifier"][1]);
    }

    #[test]
    fn a_round_without_a_model_or_a_decided_cell_says_so() {
        let cells = leukd_journal::result::Tally { rejected: 3, ..Default::default() };
        let bundle = bundle(&Round { cells, model: None, ..round("11") });
        let entries = bundle["entry"].as_array().unwrap();
        assert!(entries.iter().all(|entry| kind(entry) != "Device"));
        assert_eq!(entries[2]["resource"]["dataAbsentReason"]["text"], "no-cells");
        assert_eq!(entries[1]["resource"]["component"][3]["valueQuantity"]["value"], 3);
    }
}
