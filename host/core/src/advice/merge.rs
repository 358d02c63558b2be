//! How the answers of several policies become one, whatever order they arrive in: the order that counts is the one in
//! which the policies are listed.
//!
//! `capacity`: the first that does not say `default`. `taints`: unions, and of living nodes each policy's changes by
//! themselves. `offerings`: what anybody forbids, and factors multiplied. `consolidation`: the strictest.
//! `interruption`: the strongest.
//!
//! What a policy that fails counts as is here too, because it differs by hook: each has its own safe direction.

use std::collections::BTreeMap;

use super::limits::{SCALE_MAX, SCALE_MIN, TAINTS_WAIT};
use super::{
    Advice, Answer, Failed, Question, Said, capacity, consolidation, interruption, offerings, taints,
};

/// What a policy came to, when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Its name, as it is attached.
    pub policy: String,
    /// Whether it is obeyed.
    pub mode: Mode,
    /// What its failing means for `capacity`.
    pub on_failure: OnFailure,
    /// The places in the question that it was asked about.
    pub places: Vec<usize>,
    /// Its answer to the whole question, or what went wrong, in words.
    pub answer: Result<Answer, String>,
}

/// Whether a policy is obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is asked and recorded only.
    Shadow,
}

/// What it means for `capacity` when a policy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// What is done without advice.
    Default,
    /// The pods wait.
    Hold,
}

/// The advice that several voices come to, in the order in which they are listed.
#[must_use]
pub fn merge(question: &Question, voices: &[Voice]) -> Advice {
    let mut advice = Advice::neutral(question);
    for voice in voices {
        let (answer, is_own) = match &voice.answer {
            Ok(answer) => (answer.clone(), true),
            Err(message) => {
                let (substitute, instead) = substitute(question, voice);
                let obeyed = voice.mode == Mode::Enforce;
                let instead = if obeyed { instead } else { "nothing: it is in shadow mode" }.to_owned();
                let (policy, message) = (voice.policy.clone(), message.clone());
                advice.faults.push(Failed { policy, hook: question.hook(), message, instead });
                (substitute, false)
            }
        };
        if is_own {
            say(&mut advice.said, voice, &answer);
        }
        if voice.mode == Mode::Enforce {
            join(&mut advice.answer, signed(answer, &voice.policy));
        }
    }
    if let Answer::JudgeOfferings(judgements) = &mut advice.answer {
        judgements.sort_by_key(|judgement| judgement.offering);
        // A product of factors may leave the range that each of them keeps.
        for judgement in judgements {
            if let offerings::Verdict::Scale(scale) = &mut judgement.verdict {
                *scale = (*scale).clamp(SCALE_MIN, SCALE_MAX);
            }
        }
    }
    advice
}

/// An answer with its author's name where that matters later.
fn signed(mut answer: Answer, policy: &str) -> Answer {
    if let Answer::Review(changes) = &mut answer {
        changes.iter_mut().for_each(|change| policy.clone_into(&mut change.policy));
    }
    answer
}

/// What a policy that fails counts as, and that in words.
fn substitute(question: &Question, voice: &Voice) -> (Answer, &'static str) {
    let mut answer = question.neutral();
    let because = format!("policy {} fails", voice.policy);
    let instead = match (&mut answer, question) {
        (Answer::Choose(choices), _) => match voice.on_failure {
            OnFailure::Default => "as without the policy",
            OnFailure::Hold => {
                let hold = capacity::Hold { span: TAINTS_WAIT, reason: because };
                fill(choices, &voice.places, |_| capacity::Choice::Hold(hold.clone()));
                "the pods wait"
            }
        },
        (Answer::Dress(outfits), Question::Dress(asked)) => {
            let waited =
                |place: usize| asked.groups.get(place).is_none_or(|group| group.waiting >= TAINTS_WAIT);
            fill(outfits, &voice.places, |place| {
                let wait = !waited(place);
                taints::Outfit { wait, reason: because.clone(), ..taints::Outfit::default() }
            });
            if voice.places.iter().all(|place| waited(*place)) {
                "launched with the NodePool's own taints, after the longest wait for the policy"
            } else {
                "the launch waits"
            }
        }
        (Answer::Rest(quiet), _) => {
            fill(quiet, &voice.places, |_| consolidation::Quiet::Never(because.clone()));
            "the nodes do not move in this round"
        }
        (Answer::JudgeMoves(verdicts), _) => {
            fill(verdicts, &voice.places, |_| consolidation::Verdict::Deny(because.clone()));
            "the nodes do not move in this round"
        }
        (Answer::React(reactions), _) => {
            fill(reactions, &voice.places, |_| interruption::Reaction::ReplaceThenDrain);
            "replace, then drain"
        }
        (Answer::Dress(_) | Answer::Review(_) | Answer::JudgeOfferings(_), _) => "as without the policy",
    };
    (answer, instead)
}

fn fill<T>(whole: &mut [T], places: &[usize], make: impl Fn(usize) -> T) {
    for place in places {
        if let Some(slot) = whole.get_mut(*place) {
            *slot = make(*place);
        }
    }
}

/// Adds one more answer to those before it.
fn join(sum: &mut Answer, answer: Answer) {
    match (sum, answer) {
        (Answer::Choose(sum), Answer::Choose(more)) => {
            each(sum, more, |sum, more| {
                if *sum == capacity::Choice::Default {
                    *sum = more;
                }
            });
        }
        (Answer::Dress(sum), Answer::Dress(more)) => each(sum, more, join_outfit),
        // Each policy's beside the others': only who added a taint may take it back.
        (Answer::Review(sum), Answer::Review(more)) => sum.extend(more),
        (Answer::JudgeOfferings(sum), Answer::JudgeOfferings(more)) => join_judgements(sum, more),
        (Answer::Rest(sum), Answer::Rest(more)) => each(sum, more, join_quiet),
        (Answer::JudgeMoves(sum), Answer::JudgeMoves(more)) => each(sum, more, join_verdict),
        (Answer::React(sum), Answer::React(more)) => each(sum, more, |sum, more| *sum = (*sum).max(more)),
        // `check` has refused an answer to another question.
        (_, _) => {}
    }
}

fn each<T>(sum: &mut [T], more: Vec<T>, join: impl Fn(&mut T, T)) {
    for (sum, more) in sum.iter_mut().zip(more) {
        join(sum, more);
    }
}

fn join_outfit(sum: &mut taints::Outfit, more: taints::Outfit) {
    union(&mut sum.taints, more.taints);
    union(&mut sum.startup_taints, more.startup_taints);
    // Of two values for one label the first listed policy's holds: a label has one.
    for (key, value) in more.labels {
        sum.labels.entry(key).or_insert(value);
    }
    join_words(&mut sum.reason, &more.reason);
    sum.wait |= more.wait;
}

fn join_judgements(sum: &mut Vec<offerings::Judgement>, more: Vec<offerings::Judgement>) {
    let mut known: BTreeMap<u32, offerings::Verdict> =
        sum.drain(..).map(|judgement| (judgement.offering, judgement.verdict)).collect();
    for offerings::Judgement { offering, verdict } in more {
        match known.get_mut(&offering) {
            None => {
                known.insert(offering, verdict);
            }
            Some(offerings::Verdict::Forbid(_)) => {}
            Some(before @ offerings::Verdict::Scale(_)) => *before = both(before, verdict),
        }
    }
    sum.extend(known.into_iter().map(|(offering, verdict)| offerings::Judgement { offering, verdict }));
}

fn both(before: &offerings::Verdict, verdict: offerings::Verdict) -> offerings::Verdict {
    match (before, verdict) {
        (offerings::Verdict::Scale(left), offerings::Verdict::Scale(right)) => {
            let product = u64::from(*left) * u64::from(right) / 1_000_000;
            offerings::Verdict::Scale(u32::try_from(product).unwrap_or(u32::MAX))
        }
        (_, forbid) => forbid,
    }
}

fn join_quiet(sum: &mut consolidation::Quiet, more: consolidation::Quiet) {
    use consolidation::Quiet;
    let stricter = match (&*sum, &more) {
        (Quiet::Never(_), _) | (_, Quiet::Default) => false,
        (Quiet::Default, _) | (_, Quiet::Never(_)) => true,
        (Quiet::Span(before), Quiet::Span(after)) => after > before,
    };
    if stricter {
        *sum = more;
    }
}

fn join_verdict(sum: &mut consolidation::Verdict, more: consolidation::Verdict) {
    use consolidation::Verdict;
    let stricter = match (&*sum, &more) {
        (Verdict::Deny(_), _) | (_, Verdict::Allow) => false,
        (Verdict::Allow, _) | (_, Verdict::Deny(_)) => true,
        (Verdict::NotBefore(before), Verdict::NotBefore(after)) => after.until > before.until,
    };
    if stricter {
        *sum = more;
    }
}

fn union<T: PartialEq>(sum: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !sum.contains(&item) {
            sum.push(item);
        }
    }
}

fn join_words(sum: &mut String, more: &str) {
    if !more.is_empty() && sum != more {
        if !sum.is_empty() {
            sum.push_str("; ");
        }
        sum.push_str(more);
    }
}

/// Writes down what a policy said that is not the default.
fn say(said: &mut Vec<Said>, voice: &Voice, answer: &Answer) {
    let words: Vec<(usize, String)> = match answer {
        Answer::Choose(choices) => numbered(choices, capacity::words),
        Answer::Dress(outfits) => numbered(outfits, taints::words),
        Answer::Rest(quiet) => numbered(quiet, consolidation::rest_words),
        Answer::JudgeMoves(verdicts) => numbered(verdicts, consolidation::move_words),
        Answer::React(reactions) => {
            numbered(reactions, |reaction| interruption::words(*reaction).map(str::to_owned))
        }
        Answer::Review(changes) => {
            let place = |change: &taints::Change| usize::try_from(change.node).unwrap_or(usize::MAX);
            changes.iter().map(|change| (place(change), taints::change_words(change))).collect()
        }
        Answer::JudgeOfferings(judgements) => {
            let place =
                |judged: &offerings::Judgement| usize::try_from(judged.offering).unwrap_or(usize::MAX);
            judgements.iter().map(|judged| (place(judged), offerings::words(&judged.verdict))).collect()
        }
    };
    let obeyed = voice.mode == Mode::Enforce;
    said.extend(words.into_iter().map(|(subject, words)| Said {
        policy: voice.policy.clone(),
        subject,
        words,
        obeyed,
    }));
}

fn numbered<T>(items: &[T], words: impl Fn(&T) -> Option<String>) -> Vec<(usize, String)> {
    items.iter().enumerate().filter_map(|(place, item)| Some((place, words(item)?))).collect()
}

#[cfg(test)]
mod tests;
