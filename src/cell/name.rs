//! File names → specimen, slide and cell ids.

/// C-NMC's `UID_<subject>_<image>_<cell>_<label>.bmp`; the subject may be `11`, `H14` or `h3`.
/// The `H` and the last part tell the label: neither ever reaches the model.
pub const CNMC_PATTERN: &str =
    r"^UID_(?<specimen>[A-Za-z]?\d+)_(?<slide>\d+)_(?<cell>\d+)_[a-z]+\.[A-Za-z]+$";
