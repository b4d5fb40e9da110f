//! Which rules hold for a file: a folder of one microscope may hold cells, that of another fields.

use globset::{GlobBuilder, GlobMatcher};

use super::CaptureRules;
use crate::ingest::watch::Watch;
use crate::result::CapturePath;

/// The rules of all watched folders.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    default: CaptureRules,
    rules: Vec<(GlobMatcher, CaptureRules)>,
}

impl RuleSet {
    /// The rules of the section `[watch]`.
    ///
    /// # Errors
    /// A glob that is none.
    pub fn new(watch: &Watch) -> Result<Self, globset::Error> {
        let default =
            CaptureRules { kind: watch.kind, micrometres_per_pixel: watch.micrometres_per_pixel };
        let rules = watch.rules.iter().map(|rule| {
            let own = CaptureRules {
                kind: rule.kind.unwrap_or(default.kind),
                micrometres_per_pixel: rule.micrometres_per_pixel.or(default.micrometres_per_pixel),
            };
            let glob = GlobBuilder::new(&rule.glob)
                .literal_separator(true)
                .case_insensitive(true)
                .build()?;
            Ok((glob.compile_matcher(), own))
        });
        Ok(Self { default, rules: rules.collect::<Result<_, globset::Error>>()? })
    }

    /// The rules for the file at an absolute path: those of the first glob that matches it.
    #[must_use]
    pub fn for_path(&self, path: &std::path::Path) -> CaptureRules {
        let own = self.rules.iter().find(|(glob, _)| glob.is_match(path));
        own.map_or(self.default, |(_, rules)| *rules)
    }

    /// The rules for a capture of a watched folder.
    #[must_use]
    pub fn for_capture(&self, path: &CapturePath) -> CaptureRules {
        self.for_path(&path.absolute())
    }

    /// The rules for what comes with a request.
    #[must_use]
    pub const fn for_requests(&self) -> CaptureRules {
        self.default
    }
}
