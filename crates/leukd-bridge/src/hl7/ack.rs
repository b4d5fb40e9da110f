//! Acknowledgements: what the receiver says of a message.

/// An acknowledgement in the original mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// MSA-1: `AA`, `AE` or `AR`.
    pub code: String,
    /// MSA-2: the control id of the message that it is of.
    pub id: String,
    /// What the receiver says for people: MSA-3, and ERR-8 or ERR-7 of each ERR.
    pub text: String,
}

/// A message that acknowledges nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AckError {
    /// It is no HL7.
    #[error("it does not begin with MSH and its delimiters")]
    NoHeader,
    /// It acknowledges nothing.
    #[error("it has no MSA segment with a code and a control id")]
    NoMsa,
}

impl Acknowledgement {
    /// Reads one. Delimiters are those of its own MSH; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// It is no acknowledgement.
    pub fn parse(bytes: &[u8]) -> Result<Self, AckError> {
        let text = String::from_utf8_lossy(bytes);
        let mut segments = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
        let header = segments.next().and_then(|line| line.strip_prefix("MSH"));
        let bar = header.and_then(|rest| rest.chars().next()).ok_or(AckError::NoHeader)?;
        if bar.is_alphanumeric() {
            return Err(AckError::NoHeader);
        }
        let mut own = None;
        let mut says = Vec::new();
        for segment in segments {
            let fields: Vec<_> = segment.split(bar).collect();
            let field = |at: usize| fields.get(at).copied().unwrap_or_default().trim();
            match field(0) {
                "MSA" if own.is_none() => {
                    own = Some((field(1).to_owned(), field(2).to_owned()));
                    says.push(field(3).to_owned());
                }
                "ERR" => {
                    let more = [8, 7, 1].map(field).into_iter().find(|text| !text.is_empty());
                    says.push(more.unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        let (code, id) = own.filter(|(code, _)| !code.is_empty()).ok_or(AckError::NoMsa)?;
        says.retain(|text| !text.is_empty());
        Ok(Self { code, id, text: says.join("; ").chars().take(1000).collect() })
    }
}
