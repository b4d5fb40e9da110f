//! What several commands ask for.

use std::path::PathBuf;

use clap::Args;
use leukd::cell::preprocess::Preprocessing;
use leukd_train::dataset::{Dataset, DatasetError, Split};

/// Which images, and who is held out.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Images in C-NMC's layout: {all,hem}/UID_*.bmp, directly or in folders fold_*.
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Subjects to validate on, divided by commas; all others are trained on.
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',', required = true)]
    pub(super) hold_out: Vec<String>,
}

impl DataArgs {
    pub(super) fn split(&self, preprocessing: &Preprocessing) -> Result<Split, DatasetError> {
        let dataset = Dataset::read(&self.data, preprocessing)?;
        for file in &dataset.broken {
            tracing::warn!(path = %file.path.display(), reason = file.reason, "left out");
        }
        dataset.split(&self.hold_out)
    }
}
