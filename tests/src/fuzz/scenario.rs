//! Any text as the scenario of a small cluster: it is read, and what reads and is short is simulated.

use whittle_api::duration;
use whittle_api::manifest::File;
use whittle_core::model::time::Duration;
use whittle_sim::plan::plan_files;
use whittle_sim::run::{Options, simulate_files};
use whittle_sim::scenario::Scenario;

use super::small_cluster;

/// Longer worlds take long and show nothing new.
const DURATION_MAX: Duration = Duration::from_secs(3 * 3_600);
/// So do larger ones.
const REPLICAS_MAX: u64 = 50;
/// And those in which much happens.
const EVENTS_MAX: usize = 16;

/// What is wrong with how bytes are read as a scenario and simulated.
///
/// # Errors
///
/// A rule that a plan breaks, a problem that says nothing, and files that can be planned and not simulated.
pub fn judge(data: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    let files = vec![small_cluster(), File { name: "scenario.yaml".to_owned(), text: text.to_owned() }];
    if let Err(problems) = plan_files(files.clone(), &Options::default()) {
        let says_nothing =
            |defect: &whittle_api::problem::Defect| defect.found.is_empty() || defect.expected.is_empty();
        return match problems.0.iter().find(|problem| says_nothing(&problem.defect)) {
            Some(problem) => Err(format!("a problem that says nothing: {problem:?}")),
            None => Ok(()),
        };
    }
    if !is_small(text) {
        return Ok(());
    }
    let record = simulate_files(files, &Options::default(), &mut |_| ())
        .map_err(|problems| format!("can be planned and not simulated: {problems}"))?;
    match record.violations.first() {
        Some(broken) => Err(format!("a plan breaks a rule: {}", broken.violation)),
        None => Ok(()),
    }
}

/// Whether a text is a scenario, and one that is simulated quickly.
fn is_small(text: &str) -> bool {
    let Ok(Scenario { spec, .. }) = serde_saphyr::from_str::<Scenario>(text) else { return false };
    let is_short = |text: &String| duration::parse(text).is_some_and(|span| span <= DURATION_MAX);
    let replicas = spec.events.iter().filter_map(|event| Some(event.scale.as_ref()?.replicas));
    spec.duration.as_ref().is_some_and(is_short)
        && spec.events.len() <= EVENTS_MAX
        && replicas.fold(0, u64::saturating_add) <= REPLICAS_MAX
}
