//! What only a real API server, scheduler and controller manager can say: `whittle-control-plane` starts them, with kwok
//! in the kubelets' place.
//!
//! Most tests share one control plane, each with names of its own; one that stops a component starts its own. Where the
//! control plane cannot be had, every test fails and says why: none is skipped. Whatever happens in them, nothing is
//! left running.

mod changes;
mod classes;
mod controller;
mod custom_resources;
mod examples;
mod figures;
mod life;
mod looks;
mod machines;
mod outages;
mod permissions;
mod placing;
mod policies;
mod resilience;
#[path = "../../host/api/tests/rules/cases.rs"]
mod rule_cases;
mod rules;
mod shared;
mod traces;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use shared::Shared;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let shared = Arc::new(Shared::default());
    let trials: Vec<Trial> = [
        custom_resources::trials(&shared),
        looks::trials(&shared),
        rules::trials(&shared),
        workloads::trials(&shared),
        resilience::trials(&shared),
        controller::trials(&shared),
        life::trials(&shared),
        placing::trials(),
        changes::trials(),
        classes::trials(),
        policies::trials(),
        traces::trials(),
        outages::trials(),
        permissions::trials(),
        figures::trials(),
        examples::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let failed = conclusion.has_failed();
    if let Err(error) = shared::end(shared, failed) {
        eprintln!("the control plane: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
