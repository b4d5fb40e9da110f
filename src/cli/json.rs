//! `--json`: one message a line, in proto3's JSON mapping.
//!
//! Fields have the names of the contract (`result_id`, not `resultId`) and all of them are written,
//! also where they hold their default, so that a reader finds the same keys in each line; only
//! messages that are absent and the other branches of a oneof are left out. As the mapping says,
//! 64-bit integers are strings, times are RFC 3339 and durations are seconds with an `s`.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::error::CliError;
use crate::grpc::proto;

/// A message of the contract, by its full name.
pub(super) trait Named: Message {
    /// `leukd.v1.…`
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ident),+) => {$(
        impl Named for proto::$message {
            const NAME: &'static str = concat!("leukd.v1.", stringify!($message));
        }
    )+};
}

named!(
    HeatMap,
    Event,
    FieldEvent,
    Result,
    Review,
    SubmitReviewResponse,
    SignSpecimenResponse,
    WithdrawSignatureResponse,
    ListedSpecimen,
    Model,
    GetStatusResponse,
    ReloadModelResponse,
    GetSpecimenResponse,
    LogLevel
);

static POOL: LazyLock<Result<DescriptorPool, String>> = LazyLock::new(|| {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).map_err(|error| error.to_string())
});

/// The message as one line of JSON, without the line break.
///
/// # Errors
/// [`CliError::Software`]: the message and the contract inside this binary do not fit, which is a defect.
pub(super) fn line<M: Named>(message: &M) -> Result<String, CliError> {
    let defect =
        |error: String| CliError::Software(format!("cannot write {} as JSON: {error}", M::NAME));
    let pool = POOL.as_ref().map_err(|error| defect(error.clone()))?;
    let descriptor = pool
        .get_message_by_name(M::NAME)
        .ok_or_else(|| defect("it is not in the contract".to_owned()))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| defect(error.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    message
        .serialize_with_options(&mut serializer, &options)
        .map_err(|error| defect(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| defect(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_one_line_with_the_names_of_the_contract() {
        let result = proto::Result {
            sequence: 7,
            result_id: "a\nb".to_owned(),
            decision: proto::Decision::Review.into(),
            classified_at: Some(prost_types::Timestamp { seconds: 0, nanos: 5_000_000 }),
            ..proto::Result::default()
        };
        let text = line(&result).unwrap();
        assert_eq!(text.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["sequence"], "7");
        assert_eq!(json["result_id"], "a\nb");
        assert_eq!(json["decision"], "DECISION_REVIEW");
        assert_eq!(json["classified_at"], "1970-01-01T00:00:00.005Z");
        // Defaults stand there too; absent messages do not.
        assert_eq!(json["supersedes"], "0");
        assert_eq!(json["reasons"], serde_json::json!([]));
        assert!(json.get("model").is_none());
    }

    #[test]
    fn every_named_message_is_in_the_contract() {
        line(&proto::Event::default()).unwrap();
        line(&proto::Review::default()).unwrap();
        line(&proto::SubmitReviewResponse::default()).unwrap();
        line(&proto::SignSpecimenResponse::default()).unwrap();
        line(&proto::WithdrawSignatureResponse::default()).unwrap();
        line(&proto::ListedSpecimen::default()).unwrap();
        line(&proto::Model::default()).unwrap();
        line(&proto::GetStatusResponse::default()).unwrap();
        line(&proto::ReloadModelResponse::default()).unwrap();
        line(&proto::GetSpecimenResponse::default()).unwrap();
    }
}
