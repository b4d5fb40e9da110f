//! Where a window goes.

/// A window that slides over a picture with TensorFlow's "same" padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Width and height of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Rows that come in.
    pub height: usize,
    /// Columns that come in.
    pub width: usize,
}

impl Geometry {
    /// Rows and columns that go out: the ceiling of what comes in over the stride.
    #[must_use]
    pub fn output(&self) -> (usize, usize) {
        (self.height.div_ceil(self.stride), self.width.div_ceil(self.stride))
    }

    /// Zeros before the first row and column, and after the last ones: TensorFlow's "same" puts
    /// the odd one at the end.
    #[must_use]
    pub fn padding(&self) -> ((usize, usize), (usize, usize)) {
        let pad = |inward: usize, outward: usize| {
            let total = ((outward - 1) * self.stride + self.kernel).saturating_sub(inward);
            (total / 2, total - total / 2)
        };
        let (height, width) = self.output();
        (pad(self.height, height), pad(self.width, width))
    }

    /// Calls `visit(output position, tap, input position)` for every tap that falls inside.
    #[inline(always)]
    pub(super) fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (out_height, out_width) = self.output();
        let ((top, _), (left, _)) = self.padding();
        let inside = |start: usize, before: usize, length: usize| {
            before.saturating_sub(start)..self.kernel.min((length + before).saturating_sub(start))
        };
        for y in 0..out_height {
            let start_y = y * self.stride;
            for x in 0..out_width {
                let start_x = x * self.stride;
                let out = y * out_width + x;
                let columns = inside(start_x, left, self.width);
                for ky in inside(start_y, top, self.height) {
                    let row = (start_y + ky - top) * self.width;
                    for kx in columns.clone() {
                        visit(out, ky * self.kernel + kx, row + start_x + kx - left);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_tensorflows_same() {
        let geometry =
            |kernel, stride, side| Geometry { kernel, stride, height: side, width: side };
        assert_eq!(geometry(3, 2, 224).padding().0, (0, 1));
        assert_eq!(geometry(5, 2, 56).padding().0, (1, 2));
        assert_eq!(geometry(3, 2, 7).padding().0, (1, 1));
        assert_eq!(geometry(5, 1, 4).padding().0, (2, 2));
        assert_eq!(geometry(3, 2, 7).output(), (4, 4));
    }
}
