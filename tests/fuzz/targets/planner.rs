//! Any small cluster. What is asked of it is in `whittle_tests::fuzz::planner`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(found) = whittle_tests::fuzz::planner::judge(data) {
        panic!("{found}");
    }
});
