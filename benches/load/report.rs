//! Figures, one a line.

/// Where figures go.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub json: bool,
}

impl Report {
    /// One figure: what was measured, in which unit.
    pub fn figure(self, scenario: &str, name: &str, value: f64, unit: &str) {
        if self.json {
            let line = serde_json::json!({
                "scenario": scenario, "name": name, "value": value, "unit": unit,
            });
            println!("{line}");
        } else {
            println!("{scenario:8}  {name:52} {value:>10.2} {unit}");
        }
    }
}

/// The value below which `share` of all lie; `values` need not be sorted.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into what fits into memory"
    )]
    let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle of `values`.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
