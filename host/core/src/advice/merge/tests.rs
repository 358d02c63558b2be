use super::*;
use crate::advice::words::{LivingNode, WaitingPods};
use crate::model::instance_type::CapacityType;
use crate::model::requirement::{Taint, TaintEffect};
use crate::model::time::{Duration, Timestamp};

fn voice(policy: &str, answer: Result<Answer, &str>) -> Voice {
    Voice {
        policy: policy.to_owned(),
        mode: Mode::Enforce,
        on_failure: OnFailure::Default,
        places: vec![0],
        answer: answer.map_err(str::to_owned),
    }
}

fn merged(question: &Question, answers: &[Answer]) -> Answer {
    let voices: Vec<Voice> = answers.iter().map(|answer| voice("p", Ok(answer.clone()))).collect();
    merge(question, &voices).answer
}

fn waiting(secs: u64) -> WaitingPods {
    WaitingPods { waiting: Duration::from_secs(secs), ..WaitingPods::default() }
}

fn choose() -> Question {
    Question::Choose(capacity::Question { market: Vec::new(), groups: vec![waiting(0)] })
}

fn split(capacity_type: CapacityType) -> capacity::Choice {
    let shares = vec![capacity::Share { pods: 1, prefer: vec![capacity_type] }];
    capacity::Choice::Split(capacity::Split { shares, reason: String::new() })
}

fn moves() -> Question {
    let moves = vec![consolidation::Movement::default()];
    Question::JudgeMoves(consolidation::MovesQuestion { nodes: Vec::new(), moves })
}

#[test]
fn for_capacity_the_first_listed_that_has_an_opinion_wins() {
    use CapacityType::{OnDemand, Spot};
    let answers = [capacity::Choice::Default, split(Spot), split(OnDemand)];
    let answers = answers.map(|choice| Answer::Choose(vec![choice]));
    assert_eq!(merged(&choose(), &answers), Answer::Choose(vec![split(Spot)]));
}

#[test]
fn forbids_are_a_union_and_factors_multiply() {
    use offerings::{Judgement, Offering, Verdict};
    let question = offerings::Question { offerings: vec![Offering::default(); 4], ..Default::default() };
    let judge = |judgements: &[(u32, Verdict)]| {
        let judgements = judgements.iter().cloned();
        let judgements = judgements.map(|(offering, verdict)| Judgement { offering, verdict });
        Answer::JudgeOfferings(judgements.collect())
    };
    let forbid = || Verdict::Forbid("no".into());
    let left = judge(&[(0, Verdict::Scale(1_500_000)), (1, forbid()), (2, Verdict::Scale(100_000_000))]);
    let right = judge(&[
        (0, Verdict::Scale(500_000)),
        (1, Verdict::Scale(1)),
        (2, Verdict::Scale(100_000_000)),
        (3, forbid()),
    ]);
    let expected =
        judge(&[(0, Verdict::Scale(750_000)), (1, forbid()), (2, Verdict::Scale(SCALE_MAX)), (3, forbid())]);
    let question = Question::JudgeOfferings(question);
    assert_eq!(merged(&question, &[left.clone(), right.clone()]), expected);
    assert_eq!(merged(&question, &[right, left]), expected);
}

#[test]
fn for_consolidation_the_strictest_wins() {
    use consolidation::{Postponement, Quiet, Verdict};
    let until = |millis| {
        Verdict::NotBefore(Postponement { until: Timestamp::from_millis(millis), reason: String::new() })
    };
    let cases = [
        ([Verdict::Allow, until(5), until(7)], until(7)),
        ([until(7), until(5), Verdict::Allow], until(7)),
        ([until(7), Verdict::Deny("no".into()), Verdict::Allow], Verdict::Deny("no".into())),
    ];
    for (verdicts, expected) in cases {
        let answers = verdicts.map(|verdict| Answer::JudgeMoves(vec![verdict]));
        assert_eq!(merged(&moves(), &answers), Answer::JudgeMoves(vec![expected]));
    }
    let rest = Question::Rest(consolidation::RestQuestion { nodes: vec![LivingNode::default()] });
    let span = |secs| Quiet::Span(Duration::from_secs(secs));
    let answers = [span(60), Quiet::Default, span(300), span(30)].map(|quiet| Answer::Rest(vec![quiet]));
    assert_eq!(merged(&rest, &answers), Answer::Rest(vec![span(300)]));
}

#[test]
fn for_interruption_the_strongest_wins() {
    use interruption::Reaction;
    let notices = vec![interruption::Notice::default()];
    let question = Question::React(interruption::Question { notices });
    let answers = [Reaction::Cordon, Reaction::ReplaceThenDrain, Reaction::Ignore];
    let answers = answers.map(|reaction| Answer::React(vec![reaction]));
    assert_eq!(merged(&question, &answers), Answer::React(vec![Reaction::ReplaceThenDrain]));
}

#[test]
fn outfits_are_unions_and_a_label_has_the_first_value() {
    let question = Question::Dress(taints::DressQuestion { groups: vec![waiting(0)] });
    let taint = |key: &str| Taint { key: key.into(), value: String::new(), effect: TaintEffect::NoSchedule };
    let outfit = |keys: &[&str], value: &str| taints::Outfit {
        taints: keys.iter().map(|key| taint(key)).collect(),
        labels: [("team".to_owned(), value.to_owned())].into(),
        reason: value.to_owned(),
        ..taints::Outfit::default()
    };
    let answers = [outfit(&["a", "b"], "red"), outfit(&["b", "c"], "blue")];
    let answers = answers.map(|outfit| Answer::Dress(vec![outfit]));
    let expected = taints::Outfit { reason: "red; blue".into(), ..outfit(&["a", "b", "c"], "red") };
    assert_eq!(merged(&question, &answers), Answer::Dress(vec![expected]));
}

#[test]
fn changes_of_living_nodes_stay_apart_and_say_whose_they_are() {
    let nodes = vec![LivingNode::default()];
    let question = Question::Review(taints::ReviewQuestion { nodes });
    let taint = Taint { key: "a".into(), value: String::new(), effect: TaintEffect::NoSchedule };
    let remove = taints::Change { remove: vec![taint.clone()], ..taints::Change::default() };
    let add = taints::Change { add: vec![taint], ..taints::Change::default() };
    let said = [("first", &remove), ("second", &add)];
    let voices = said.map(|(name, change)| voice(name, Ok(Answer::Review(vec![change.clone()]))));
    let expected = said.map(|(name, change)| taints::Change { policy: name.into(), ..change.clone() });
    assert_eq!(merge(&question, &voices).answer, Answer::Review(expected.to_vec()));
}

#[test]
fn each_hook_fails_in_its_own_safe_direction() {
    let fails = |question: &Question| merge(question, &[voice("p", Err("trap"))]);
    assert_eq!(fails(&choose()).answer, choose().neutral());
    let denied = consolidation::Verdict::Deny("policy p fails".into());
    assert_eq!(fails(&moves()).answer, Answer::JudgeMoves(vec![denied]));
    let react = Question::React(interruption::Question { notices: vec![interruption::Notice::default()] });
    let drained = Answer::React(vec![interruption::Reaction::ReplaceThenDrain]);
    assert_eq!(fails(&react).answer, drained);
    let judge = Question::JudgeOfferings(offerings::Question::default());
    assert_eq!(fails(&judge).answer, judge.neutral());
}

#[test]
fn a_launch_waits_a_minute_for_a_policy_that_fails_to_say_its_taints() {
    for (secs, wait) in [(0, true), (59, true), (60, false), (600, false)] {
        let question = Question::Dress(taints::DressQuestion { groups: vec![waiting(secs)] });
        let advice = merge(&question, &[voice("p", Err("trap"))]);
        let expected = taints::Outfit { wait, reason: "policy p fails".into(), ..taints::Outfit::default() };
        assert_eq!(advice.answer, Answer::Dress(vec![expected]), "{secs} s");
    }
}

#[test]
fn pods_wait_for_a_failing_policy_only_where_it_is_attached_so() {
    let voice = Voice { on_failure: OnFailure::Hold, ..voice("p", Err("trap")) };
    let advice = merge(&choose(), &[voice]);
    let hold = capacity::Hold { span: TAINTS_WAIT, reason: "policy p fails".into() };
    assert_eq!(advice.answer, Answer::Choose(vec![capacity::Choice::Hold(hold)]));
    assert_eq!(advice.faults[0].instead, "the pods wait");
}

#[test]
fn a_policy_in_shadow_mode_is_recorded_and_not_obeyed() {
    let shadow = |answer| Voice { mode: Mode::Shadow, ..voice("p", answer) };
    let advice = merge(&choose(), &[shadow(Ok(Answer::Choose(vec![split(CapacityType::Spot)])))]);
    assert_eq!(advice.answer, choose().neutral());
    let said = Said { policy: "p".into(), subject: 0, words: "1 on spot: ".into(), obeyed: false };
    assert_eq!(advice.said, [said]);
    assert_eq!(merge(&moves(), &[shadow(Err("trap"))]).answer, moves().neutral());
}
