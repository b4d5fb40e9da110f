//! The `leukd-train` program.

fn main() {}
