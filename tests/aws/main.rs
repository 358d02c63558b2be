//! What only AWS can say, told by an emulator: moto, with its gaps closed and faults on demand (`emulator/serve.py`), a real
//! Kubernetes control plane beside it, and `whittle run --cloud aws` between the two.
//!
//! Each story has a control plane and an account to itself. No instance runs: a joiner plays the kubelets of those that
//! the emulator has, and reads their user data as their images would. Where the emulator cannot be had, every test fails
//! and says why. Nothing is left running, whatever ends the test.

#[expect(dead_code, reason = "what only stories on a simulated cloud need is here as well")]
#[path = "../cluster/controller.rs"]
mod controller;
mod deploy;
mod emulator;
mod failing;
mod joiner;
mod launching;
mod notices;
mod python;
#[expect(dead_code, reason = "the tests of the cluster share a control plane, these do not")]
#[path = "../cluster/shared.rs"]
mod shared;
mod twice;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;

use shared::Shared;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        emulator::trials(),
        joiner::trials(),
        deploy::trials(),
        launching::trials(),
        notices::trials(),
        failing::trials(),
        twice::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(error) = shared::end(Arc::new(Shared::default()), conclusion.has_failed()) {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
