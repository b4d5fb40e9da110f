//! How fast the network learns at which moment.

/// A linear warm-up, then a cosine down to nothing (Loshchilov & Hutter 2017, "SGDR").
///
/// Progress is the larger of two shares: of all steps, and of the time that the run may take. So a
/// run whose length is given by the clock comes to the cosine's end in time, however busy the
/// machine is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    /// The highest rate.
    pub peak: f64,
    /// Steps in all.
    pub steps: u64,
    /// Seconds in all, where the clock gives the run's length.
    pub seconds: Option<f64>,
    /// The share of the run that the warm-up takes, 0 to 1.
    pub warm_up: f64,
}

impl Cosine {
    /// How far the run is, 0 to 1.
    #[must_use]
    pub fn progress(&self, step: u64, seconds: f64) -> f64 {
        let by_steps = step as f64 / self.steps.max(1) as f64;
        let by_time = self.seconds.map_or(0.0, |limit| seconds / limit.max(1e-9));
        by_steps.max(by_time).clamp(0.0, 1.0)
    }

    /// The rate at `progress`, 0 to 1.
    #[must_use]
    pub fn rate(&self, progress: f64) -> f64 {
        if progress < self.warm_up {
            // Never quite 0, so that the first step does something.
            return self.peak * (progress / self.warm_up).max(0.01);
        }
        let rest = (progress - self.warm_up) / (1.0 - self.warm_up);
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_nothing_by_steps_or_by_time() {
        let schedule = Cosine { peak: 1.0, steps: 100, seconds: Some(50.0), warm_up: 0.1 };
        assert!((schedule.rate(schedule.progress(5, 0.0)) - 0.5).abs() < 1e-12);
        assert!((schedule.rate(schedule.progress(10, 1.0)) - 1.0).abs() < 1e-12);
        assert!(schedule.rate(schedule.progress(100, 1.0)).abs() < 1e-12);
        assert!(schedule.rate(schedule.progress(20, 50.0)).abs() < 1e-12);
        assert!(schedule.progress(20, 40.0) > 0.79);
    }
}
