#![no_main]

#[path = "../../tests/fuzz/targets/mod.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    targets::pixels::run(bytes);
});
