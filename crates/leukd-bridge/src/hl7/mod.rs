//! HL7 v2.5.1: a round as OUL^R22 or ORU^R01, and the acknowledgement of it.

mod ack;
mod text;

use leukd_journal::result::RESEARCH_USE_ONLY;

use super::codes::{Code, Codes, Key};
use super::message::Message;
use super::round::{Round, Standing, Value};
pub use ack::{AckError, Acknowledgement};
use text::{escape, time};

/// The kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unsolicited specimen oriented observation: OUL^R22^OUL_R22.
    Oul,
    /// Unsolicited observation: ORU^R01^ORU_R01.
    Oru,
}

impl Kind {
    const fn message_type(self) -> &'static str {
        match self {
            Self::Oul => "OUL^R22^OUL_R22",
            Self::Oru => "ORU^R01^ORU_R01",
        }
    }
}

/// What a site chooses of its messages.
#[derive(Debug, Clone)]
pub struct Options {
    /// The kind of message.
    pub kind: Kind,
    /// MSH-4, the sending facility. May be empty.
    pub facility: String,
    /// MSH-5, the receiving application. May be empty.
    pub receiver: String,
    /// MSH-6, the receiving facility. May be empty.
    pub receiver_facility: String,
    /// MSH-11: `P` (production), `T` (training) or `D` (debugging).
    pub processing: char,
    /// SPM-4, the specimen's type.
    pub specimen_type: Code,
    /// MSH-10 in at most 20 characters, as the standard has it: the epoch's first eight digits.
    pub short_id: bool,
    /// The codes of OBX-3.
    pub codes: Codes,
}

/// The specimen's type that says nothing of its origin.
#[must_use]
pub fn smear() -> Code {
    let [code, text, system] = ["smear", "Stained smear", "99LEUKD"].map(str::to_owned);
    Code { code, text, system }
}

/// Encodes a round.
#[must_use]
pub fn encode(round: &Round, options: &Options) -> Message {
    let id = control_id(round, options.short_id);
    let header = segment(&[
        r"MSH|^~\&",
        "leukd",
        &escape(&options.facility),
        &escape(&options.receiver),
        &escape(&options.receiver_facility),
        &time(round.stored),
        "",
        options.kind.message_type(),
        &escape(&id),
        &options.processing.to_string(),
        "2.5.1",
        "",
        "",
        "",
        "",
        "",
        "UNICODE UTF-8",
    ]);
    let specimen = segment(&[
        "SPM",
        "1",
        &format!("^{}", escape(&round.specimen)),
        "",
        &element(std::slice::from_ref(&options.specimen_type)),
    ]);
    let mut order = vec![request(round, options)];
    order.push(segment(&["NTE", "1", "L", &escape(RESEARCH_USE_ONLY)]));
    order.extend(observations(round, &options.codes));
    let body = match options.kind {
        Kind::Oul => [vec![header, specimen], order].concat(),
        Kind::Oru => [vec![header], order, vec![specimen]].concat(),
    };
    Message {
        epoch: round.epoch.clone(),
        sequence: round.sequence,
        file: round.file_name("hl7"),
        id,
        body: body.concat(),
    }
}

/// MSH-10. The epoch is a UUID; the standard's length of the field has no room for all of it.
fn control_id(round: &Round, short: bool) -> String {
    if !short {
        return round.id();
    }
    let digits: String = round.epoch.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{digits}:{}", round.sequence)
}

/// OBR: the order's filler number is the specimen, so that a later round meets the earlier one.
fn request(round: &Round, options: &Options) -> String {
    let mut fields = vec![String::new(); 26];
    fields[0] = "OBR".to_owned();
    fields[1] = "1".to_owned();
    fields[3] = format!("{}^leukd", escape(&round.specimen));
    fields[4] = element(&options.codes.of(Key::Panel));
    fields[7] = time(round.first);
    fields[8] = time(round.last);
    fields[22] = time(round.stored);
    fields[25] = status(round).to_owned();
    segment(&fields.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One OBX for each value. An absent one is sent as such (`X`): it may replace one that was there.
fn observations(round: &Round, codes: &Codes) -> Vec<String> {
    let notice = (Key::Notice, Value::Text(RESEARCH_USE_ONLY.to_owned()));
    let values = round.values().into_iter().chain([notice]).enumerate();
    let model = round.model.as_ref().map(|model| escape(&model.id)).unwrap_or_default();
    let observed = time(round.last);
    let observation = |(at, (key, value)): (usize, (Key, Value))| {
        let (kind, unit) = match &value {
            Value::Cells(_) => ("NM", "{cells}^^UCUM"),
            Value::Percent(_) => ("NM", "%^^UCUM"),
            Value::Text(_) => ("ST", ""),
        };
        let text = value.to_text();
        let status = if text.is_empty() { "X" } else { status(round) };
        segment(&[
            "OBX",
            &(at + 1).to_string(),
            kind,
            &element(&codes.of(key)),
            "",
            &escape(&text),
            unit,
            "",
            "",
            "",
            "",
            status,
            "",
            "",
            &observed,
            "",
            "",
            "",
            &model,
        ])
    };
    values.map(observation).collect()
}

const fn status(round: &Round) -> &'static str {
    match round.standing() {
        Standing::Preliminary => "P",
        Standing::Correction => "C",
    }
}

/// A coded element: the site's code, and leukd's own as the alternate.
fn element(codes: &[Code]) -> String {
    let parts = codes.iter().take(2).flat_map(|code| [&code.code, &code.text, &code.system]);
    parts.map(|part| escape(part)).collect::<Vec<_>>().join("^")
}

/// A segment, without the empty fields at its end.
fn segment(fields: &[&str]) -> String {
    let end = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
    fields[..end].join("|") + "\r"
}

#[cfg(test)]
mod tests;
