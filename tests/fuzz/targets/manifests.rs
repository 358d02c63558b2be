//! Any text as a manifest beside a small cluster. What is asked of it is in `whittle_tests::fuzz::manifests`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(found) = whittle_tests::fuzz::manifests::judge(data) {
        panic!("{found}");
    }
});
