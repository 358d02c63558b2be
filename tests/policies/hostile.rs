//! Guests that do everything they can: none stops the host, each fails in the way that its hook fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_control::ports::policies::Policies as _;
use whittle_core::advice::{Answer, Hook, Question, capacity, interruption};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::canned::{NOW, questions};
use whittle_policy::limits::{LOG_BYTES_MAX, Limits};
use whittle_policy::module::Consultation;

use crate::build::{ENGINE, generation, loaded};

/// The question to a hook that has most in it, of those that every policy is tried with.
fn question(hook: Hook) -> Question {
    questions(hook).into_iter().max_by_key(Question::len).unwrap()
}

/// What a guest that does this comes to, with so much time that only fuel can end it.
fn consult(deed: &str, hook: Hook, now: Timestamp) -> Consultation {
    let settings = format!(r#"{{"does": "{deed}"}}"#);
    let reads = whittle_core::advice::words::Reads::default();
    let limits = Limits::default().patient();
    HOSTILE.consult(&ENGINE, (&settings, limits), (&question(hook), &reads, now))
}

static HOSTILE: std::sync::LazyLock<whittle_policy::module::Module> =
    std::sync::LazyLock::new(|| loaded("hostile"));

fn fault(deed: &str, hook: Hook) -> String {
    match consult(deed, hook, NOW).answer {
        Err(fault) => fault.to_string(),
        Ok(answer) => panic!("{deed}, {hook}: answered {answer:?}"),
    }
}

#[test]
fn whoever_behaves_is_listened_to() {
    for hook in Hook::ALL {
        assert_eq!(consult("behaves", hook, NOW).answer, Ok(question(hook).neutral()), "{hook}");
    }
}

#[test]
fn endless_work_ends_when_its_fuel_does() {
    for hook in Hook::ALL {
        for deed in ["spins", "copiesForEver"] {
            let fault = fault(deed, hook);
            assert!(fault.starts_with("used up its fuel of 50000000"), "{deed}, {hook}: {fault}");
        }
    }
}

#[test]
fn the_clock_ends_what_fuel_would_let_go_on() {
    let limits = Limits { fuel: u64::MAX, ..Limits::default() };
    let reads = whittle_core::advice::words::Reads::default();
    let question = question(Hook::Capacity);
    let settings = r#"{"does": "spins"}"#;
    let consultation = HOSTILE.consult(&ENGINE, (settings, limits), (&question, &reads, NOW));
    let fault = consultation.answer.unwrap_err().to_string();
    assert!(fault.starts_with("took longer than 20 ms"), "{fault}");
}

#[test]
fn recursion_and_allocation_end_in_a_trap_of_their_own() {
    for deed in ["recurses", "allocates"] {
        let fault = fault(deed, Hook::Capacity);
        assert!(fault.starts_with("stopped: ") || fault.starts_with("used up its fuel"), "{deed}: {fault}");
    }
}

#[test]
fn a_panic_says_what_it_said_and_where_it_was() {
    let consultation = consult("trapsAlways", Hook::Capacity, NOW);
    let fault = consultation.answer.unwrap_err();
    assert!(fault.to_string().contains("as always"), "{fault}");
    assert!(fault.backtrace().iter().any(|frame| frame.contains("misbehave")), "{:?}", fault.backtrace());
}

#[test]
fn answers_of_the_wrong_length_are_refused() {
    let cases = [
        ("answersNothing", "answered wrongly: found 0, expected 3: one choice for each group"),
        ("answersTwice", "answered wrongly: found 6, expected 3: one choice for each group"),
    ];
    for (deed, expected) in cases {
        assert_eq!(fault(deed, Hook::Capacity), expected);
    }
    let twice = fault("answersTwice", Hook::Offerings);
    assert_eq!(twice, "answered wrongly: [1].offering: found 0 twice, expected each once");
}

#[test]
fn answers_that_are_too_large_are_not_taken() {
    for deed in ["answersMillions", "answersAGigabyte"] {
        for hook in [Hook::Capacity, Hook::Taints, Hook::Consolidation] {
            let fault = fault(deed, hook);
            assert!(!fault.starts_with("answered wrongly"), "{deed}, {hook}: {fault}");
        }
    }
}

#[test]
fn numbers_and_names_that_cannot_be_are_refused() {
    let cases = [
        ("answersWithAbsurdNumbers", Hook::Capacity, "[0].split.shares[0].prefer: found spot twice"),
        ("answersWithAbsurdNumbers", Hook::Offerings, "[0].scale: found 4294967295"),
        ("answersWithAbsurdNumbers", Hook::Consolidation, "[0].notBefore.until: found 0"),
        ("answersWithAbsurdNumbers", Hook::Interruption, "[0]: found ignore"),
        ("answersWithAbsurdNumbers", Hook::Taints, "[0].taints: found the key kubernetes.io/hostname"),
        ("labelsInvalidly", Hook::Taints, "[0].labels: found the key \"a b/c d\", expected a key such as"),
        ("namesUnknownIds", Hook::Offerings, "[0].offering: found 4294967295, expected a place below 3"),
        ("givesLongReasons", Hook::Capacity, "[0].hold.reason: found 8000 bytes, expected at most 256"),
        ("givesLongReasons", Hook::Offerings, "[0].forbid: found 8000 bytes, expected at most 256"),
    ];
    for (deed, hook, expected) in cases {
        let fault = fault(deed, hook);
        assert!(fault.starts_with(&format!("answered wrongly: {expected}")), "{deed}, {hook}: {fault}");
    }
}

#[test]
fn a_change_of_a_node_that_was_not_asked_about_is_refused() {
    let review = questions(Hook::Taints).pop().unwrap();
    let reads = whittle_core::advice::words::Reads::default();
    let settings = (r#"{"does": "namesUnknownIds"}"#, Limits::default().patient());
    let fault = HOSTILE.consult(&ENGINE, settings, (&review, &reads, NOW)).answer.unwrap_err();
    let expected = "answered wrongly: [0].node: found 1000000, expected a place below 2";
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn a_flood_of_the_log_is_cut_and_does_no_other_harm() {
    let consultation = consult("floodsTheLog", Hook::Capacity, NOW);
    let bytes: usize = consultation.log.lines.iter().map(|line| line.text.len()).sum();
    assert!(bytes <= LOG_BYTES_MAX, "{bytes}");
    assert!(consultation.log.left_out > 0);
}

/// An advisor with a guest that starts to do something at `NOW`, so that it can be loaded.
fn advisor(deed: &str, more: &str) -> Advisor {
    let advisor = Advisor::new(Arc::clone(&ENGINE), Patience::Simulation);
    let from = NOW.millis() + 1;
    let attachments = format!(
        "policies:\n- {{name: bad, module: hostile.wasm, settings: {{does: {deed}, from: {from}}}{more}}}"
    );
    advisor.swap(generation(&attachments, &["hostile"]).unwrap());
    advisor
}

#[test]
fn three_faults_open_the_breaker_and_a_good_trial_closes_it() {
    let advisor = advisor("trapsAlways", "");
    let question = question(Hook::Capacity);
    let mut counsel = advisor.counsel(&BTreeMap::new());
    let mut ask = |secs: u64| {
        let advice = counsel.ask(&question, NOW + Duration::from_secs(secs) + Duration::from_millis(1));
        assert_eq!(advice.answer, question.neutral());
        advice.faults[0].message.clone()
    };
    for secs in [0, 1, 2] {
        assert!(ask(secs).contains("as always"));
    }
    for secs in [3, 31] {
        assert!(ask(secs).starts_with("is not asked for a while, because it failed too often"), "{secs}");
    }
    // A trial, which fails, and a pause of twice the length.
    assert!(ask(32).contains("as always") && !ask(33).starts_with("stopped"));
    assert!(ask(91).starts_with("is not asked") && !ask(92).starts_with("is not asked"));
}

#[test]
fn whoever_traps_every_third_time_is_listened_to_the_other_times() {
    let advisor = advisor("trapsEveryThirdCall", "");
    let question = question(Hook::Interruption);
    let mut counsel = advisor.counsel(&BTreeMap::new());
    // Faults so far apart that no breaker opens.
    let faults: usize = (0..9)
        .map(|minute| {
            let now = Timestamp::from_millis(NOW.millis() + 1 + minute * 61_001);
            counsel.ask(&question, now).faults.len()
        })
        .sum();
    assert_eq!(faults, 3);
}

#[test]
fn while_a_policy_fails_each_hook_does_what_is_safe() {
    let advisor = advisor("trapsAlways", ", onFailure: hold");
    let later = NOW + Duration::from_millis(1);
    let mut counsel = advisor.counsel(&BTreeMap::new());
    let mut answer = |hook| counsel.ask(&question(hook), later).answer;
    let Answer::Choose(choices) = answer(Hook::Capacity) else { panic!("not a choice") };
    assert!(choices.iter().all(|choice| matches!(choice, capacity::Choice::Hold(_))));
    let Answer::React(reactions) = answer(Hook::Interruption) else { panic!("not a reaction") };
    assert_eq!(reactions, [interruption::Reaction::ReplaceThenDrain; 4]);
    let Answer::JudgeMoves(verdicts) = answer(Hook::Consolidation) else { panic!("not a verdict") };
    assert!(verdicts.iter().all(|verdict| *verdict != whittle_core::advice::consolidation::Verdict::Allow));
    assert_eq!(answer(Hook::Offerings), question(Hook::Offerings).neutral());
}

#[test]
fn what_misbehaves_when_it_is_tried_out_does_not_come_into_force() {
    for deed in ["spins", "trapsAlways", "answersTwice"] {
        let attachments =
            format!("policies:\n- {{name: bad, module: hostile.wasm, settings: {{does: {deed}}}}}");
        let refused = generation(&attachments, &["hostile"]).unwrap_err();
        assert!(refused.contains("a question for trying out: it "), "{refused}");
    }
}
