//! A symmetric, positive definite matrix and the solution of its equations.

/// The lower triangle, row by row.
pub(super) struct Symmetric {
    rows: Vec<Vec<f64>>,
}

impl Symmetric {
    pub(super) fn diagonal(size: usize, value: f64) -> Self {
        let row = |at: usize| (0..=at).map(|own| if own == at { value } else { 0.0 }).collect();
        Self { rows: (0..size).map(row).collect() }
    }

    /// Adds `share · vector · vectorᵀ`.
    pub(super) fn add(&mut self, vector: &[f64], share: f64) {
        for (row, value) in self.rows.iter_mut().zip(vector) {
            let factor = share * value;
            row.iter_mut().zip(vector).for_each(|(sum, other)| *sum += factor * other);
        }
    }

    /// The vector that this matrix times it is `right`, by Cholesky's decomposition; none where the
    /// matrix is not positive definite.
    pub(super) fn solve(mut self, right: &[f64]) -> Option<Vec<f64>> {
        let size = self.rows.len();
        for at in 0..size {
            let (done, rest) = self.rows.split_at_mut(at);
            let own = &mut rest[0];
            for (column, other) in done.iter().enumerate() {
                let dot: f64 = own[..column].iter().zip(other).map(|(a, b)| a * b).sum();
                own[column] = (own[column] - dot) / other[column];
            }
            let left = own[at] - own[..at].iter().map(|value| value * value).sum::<f64>();
            own[at] = Some(left.sqrt()).filter(|root| root.is_finite() && *root > 0.0)?;
        }
        let mut found = right.to_vec();
        for at in 0..size {
            let dot: f64 = self.rows[at][..at].iter().zip(&found).map(|(a, b)| a * b).sum();
            found[at] = (found[at] - dot) / self.rows[at][at];
        }
        for at in (0..size).rev() {
            found[at] /= self.rows[at][at];
            let own = found[at];
            let row = &self.rows[at];
            found[..at].iter_mut().zip(row).for_each(|(value, factor)| *value -= own * factor);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solution_gives_the_right_side_back() {
        let rows = [[2.0, -1.0, 0.5], [0.3, 1.5, -2.0], [1.0, 1.0, 1.0], [0.0, 2.0, 4.0]];
        let build = || {
            let mut matrix = Symmetric::diagonal(3, 0.1);
            rows.iter().for_each(|row| matrix.add(row, 0.7));
            matrix
        };
        let right = [1.0, -2.0, 3.0];
        let found = build().solve(&right).unwrap();
        for (at, right) in right.iter().enumerate() {
            let product: f64 =
                (0..3).map(|other| build().rows[at.max(other)][at.min(other)] * found[other]).sum();
            assert!((product - right).abs() < 1e-9, "{product}");
        }
        assert!(Symmetric::diagonal(2, -1.0).solve(&[1.0, 1.0]).is_none());
    }
}
