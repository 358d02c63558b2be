//! What directories are called, and what is said of plans that broke a rule.

use whittle_core::check::{Rule, Violation};

use super::*;
use crate::record::text::{self, Detail};

fn driver(dir: &str) -> (Driver, Timestamp) {
    let dir = FilePath::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let Input { course, objects, .. } = read(&dir, &Options::default()).unwrap();
    let driver = Driver {
        controller: Controller::new(Settings::default()),
        policies: None,
        recorder: Recorder::new(course.sample_every),
        world: World::new(setup(&course), objects),
        held_until: Timestamp::EPOCH,
        last_change: course.start,
    };
    (driver, course.start)
}

#[test]
fn a_directory_goes_by_its_own_name_however_it_is_reached() {
    let here = FilePath::new(env!("CARGO_MANIFEST_DIR"));
    for way in ["tests/small", "tests/small/.", "tests/settles/../small"] {
        assert_eq!(own_name(&here.join(way)), "small");
    }
    assert_eq!(own_name(FilePath::new("/")), "");
}

#[test]
fn a_plan_that_was_not_carried_out_is_the_last_thing_that_the_summary_says() {
    let (mut driver, start) = driver("tests/settles");
    for second in [1, 1, 2] {
        driver.world.advance(start + Duration::from_secs(second));
        let violation = Violation { rule: Rule::Name, subject: "x".into(), message: "taken".into() };
        driver.recorder.violated(&[violation], &mut driver.world);
    }
    let dir = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/settles");
    let course = read(&dir, &Options::default()).unwrap().course;
    let record = driver.finish(&course, "settles".into());
    let summary = text::summary(&record, Detail::Compact);
    let wanted = format!("2 plans were not carried out as made: {}", record.violations[0].violation);
    assert_eq!(summary.lines().last(), Some(wanted.as_str()));
}
