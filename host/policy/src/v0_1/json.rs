//! Questions and answers of version 0.1 as JSON, field by field as the interface names them: what a guest is shown, for
//! people who wonder and for tests that ask the same question natively.

use serde_json::{Value, json};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Answer, Question};

use super::{from_guest, to_guest};

/// What a guest that reads these labels is shown of a question: the arguments of the call, by name.
#[must_use]
pub fn shown(question: &Question, reads: &Reads) -> Value {
    match question {
        Question::Choose(question) => {
            let market: Vec<_> = question.market.iter().map(to_guest::supply).collect();
            json!({ "market": market, "groups": to_guest::groups(&question.groups, reads) })
        }
        Question::Dress(question) => json!({ "groups": to_guest::groups(&question.groups, reads) }),
        Question::Review(question) => json!({ "nodes": to_guest::nodes(&question.nodes, reads) }),
        Question::JudgeOfferings(question) => {
            let types: Vec<_> = question.types.iter().map(|it| to_guest::instance_type(it, reads)).collect();
            let offerings: Vec<_> = question.offerings.iter().map(to_guest::offering).collect();
            json!({ "node_pool": question.node_pool, "types": types, "offerings": offerings })
        }
        Question::Rest(question) => json!({ "nodes": to_guest::nodes(&question.nodes, reads) }),
        Question::JudgeMoves(question) => {
            let moves: Vec<_> = question.moves.iter().map(to_guest::movement).collect();
            json!({ "nodes": to_guest::nodes(&question.nodes, reads), "moves": moves })
        }
        Question::React(question) => {
            let notices: Vec<_> =
                question.notices.iter().map(|notice| to_guest::notice(notice, reads)).collect();
            json!({ "notices": notices })
        }
    }
}

/// What a guest answered to a question, from the JSON of its answer.
///
/// # Errors
/// When it is not the JSON of an answer to such a question.
pub fn answered(question: &Question, answer: Value) -> Result<Answer, serde_json::Error> {
    Ok(match question {
        Question::Choose(_) => Answer::Choose(list(answer, from_guest::choice)?),
        Question::Dress(_) => Answer::Dress(list(answer, from_guest::outfit)?),
        Question::Review(_) => Answer::Review(list(answer, from_guest::change)?),
        Question::JudgeOfferings(_) => Answer::JudgeOfferings(list(answer, from_guest::judgement)?),
        Question::Rest(_) => Answer::Rest(list(answer, from_guest::quiet)?),
        Question::JudgeMoves(_) => Answer::JudgeMoves(list(answer, from_guest::verdict)?),
        Question::React(_) => Answer::React(list(answer, from_guest::reaction)?),
    })
}

fn list<G: serde::de::DeserializeOwned, A>(
    answer: Value,
    read: impl Fn(G) -> A,
) -> Result<Vec<A>, serde_json::Error> {
    let items: Vec<G> = serde_json::from_value(answer)?;
    Ok(items.into_iter().map(read).collect())
}
