//! Any text as the scenario of a small cluster. What is asked of it is in `whittle_tests::fuzz::scenario`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(found) = whittle_tests::fuzz::scenario::judge(data) {
        panic!("{found}");
    }
});
