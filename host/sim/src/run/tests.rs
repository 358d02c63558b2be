//! What the loop does with a plan that it must not carry out.

use whittle_core::check::Rule;

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

/// Decides until a plan launches something; whatever comes before is carried out.
fn launching_plan(driver: &mut Driver, mut now: Timestamp) -> (Plan, Timestamp) {
    driver.hear(now);
    for _ in 0..100 {
        now = now.max(driver.controller.next_wake().unwrap());
        let plan = driver.controller.decide(now);
        if launches(&plan) > 0 {
            return (plan, now);
        }
        driver.carry_out(&plan, now);
    }
    panic!("no plan launches anything");
}

fn launches(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::Launch(_))).count()
}

#[test]
fn a_plan_that_is_refused_is_made_again_because_nothing_of_it_is_expected() {
    let (mut driver, start) = driver("tests/settles");
    let (plan, now) = launching_plan(&mut driver, start);
    let expected = driver.controller.snapshot().asked.len();
    assert_eq!(expected, launches(&plan));
    let violation = Violation { rule: Rule::Name, subject: "x".into(), message: "taken".into() };
    driver.refuse(&plan, vec![violation], now);
    assert_eq!(driver.controller.snapshot().asked.len(), 0);
    assert_eq!((driver.world.launches(), driver.held_until), (0, now + HOLD_BACK));
    let (again, _) = launching_plan(&mut driver, now + HOLD_BACK);
    assert_eq!(launches(&again), launches(&plan));
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
        driver.recorder.violated(vec![violation], &mut driver.world);
    }
    let dir = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/settles");
    let course = read(&dir, &Options::default()).unwrap().course;
    let record = driver.finish(&course, "settles".into());
    let summary = text::summary(&record, Detail::Compact);
    let wanted = format!("2 plans were not carried out: {}", record.violations[0].violation);
    assert_eq!(summary.lines().last(), Some(wanted.as_str()));
}
