//! Small bundles for tests.
