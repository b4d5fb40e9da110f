//! The filters of `tail` and `results`.

use crate::grpc::proto;
use crate::result::Decision;

/// Conditions on results; all of them must match.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Only this specimen
    #[arg(long)]
    pub(super) specimen: Option<String>,
    /// Only this slide
    #[arg(long)]
    pub(super) slide: Option<String>,
    /// Only this label: all (blast) or hem (normal)
    #[arg(long)]
    pub(super) label: Option<String>,
    /// Only this decision: all, hem, review or rejected; may be repeated
    #[arg(long = "decision", value_name = "DECISION")]
    pub(super) decisions: Vec<Decision>,
    /// Only captures whose path below their folder matches this glob, for example 'slide-7/**'
    #[arg(long, value_name = "GLOB")]
    pub(super) path_glob: Option<String>,
    /// Only results whose label has at least this probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub(super) min_probability: Option<f64>,
}

impl FilterArgs {
    /// The contract's filter; none without conditions.
    #[must_use]
    pub(super) fn to_proto(&self) -> Option<proto::Filter> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let filter = proto::Filter {
            specimen: text(&self.specimen),
            slide: text(&self.slide),
            label: text(&self.label),
            decisions: self
                .decisions
                .iter()
                .map(|decision| decision_to_proto(*decision).into())
                .collect(),
            path_glob: text(&self.path_glob),
            minimum_probability: self.min_probability.unwrap_or_default(),
        };
        (filter != proto::Filter::default()).then_some(filter)
    }
}

const fn decision_to_proto(decision: Decision) -> proto::Decision {
    match decision {
        Decision::All => proto::Decision::All,
        Decision::Hem => proto::Decision::Hem,
        Decision::Review => proto::Decision::Review,
        Decision::Rejected => proto::Decision::Rejected,
    }
}
