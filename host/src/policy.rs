//! `whittle policy`: the tools of whoever writes policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use whittle_policy::author::{bench, cases, check, create, inspect};
use whittle_policy::engine::Engine;
use whittle_policy::limits::Limits;
use whittle_policy::status::Status;

use crate::args::{NewArgs, OutputArg, PolicyArgs, PolicyCommand, StatusArgs, TestArgs};
use crate::output;

/// The file in a state folder that says where policies stand.
pub(crate) const STATUS: &str = "status.json";

pub(crate) fn run(args: &PolicyArgs) -> Result<()> {
    match &args.command {
        PolicyCommand::New(args) => new(args),
        PolicyCommand::Check { path } => output::print(&check::check(&Arc::new(Engine::new()?), path)?),
        PolicyCommand::Test(args) => test(args),
        PolicyCommand::Bench { file, settings } => {
            let engine = Engine::new()?;
            let module = check::load(&engine, file)?;
            match bench::measure(&engine, &module, settings, Limits::default()) {
                Ok(measured) => output::print(&bench::text(&measured)),
                Err(fault) => bail!("the policy {fault}"),
            }
        }
        PolicyCommand::Inspect { file, settings } => {
            let engine = Engine::new()?;
            let module = check::load(&engine, file)?;
            output::print(&inspect::inspect(&engine, &module, settings))
        }
        PolicyCommand::Status(args) => status(args),
    }
}

fn new(args: &NewArgs) -> Result<()> {
    let parent = std::env::current_dir().context("there is no folder to make it in")?;
    let sdk = match &args.sdk {
        Some(sdk) => sdk.clone(),
        None => {
            find_sdk(&parent).context("found no guest-sdk in this folder or above, expected --sdk PATH")?
        }
    };
    let sdk = sdk.canonicalize().with_context(|| format!("found no SDK at {}", sdk.display()))?;
    let folder = create::create(&parent, &args.name, args.hook.into(), &sdk)?;
    output::print(&format!("{} is made: `cargo test` in it passes as it stands\n", folder.display()))
}

/// The SDK in a checkout of Whittle that `folder` lies in.
fn find_sdk(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|above| above.join("guest-sdk")).find(|sdk| sdk.join("Cargo.toml").is_file())
}

fn test(args: &TestArgs) -> Result<()> {
    let text = fs::read_to_string(&args.cases).with_context(|| args.cases.display().to_string())?;
    let read =
        cases::parse(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", args.cases.display()))?;
    let beside = args.cases.parent().unwrap_or(Path::new(""));
    let module = match (&args.module, &read.module) {
        (Some(module), _) => module.clone(),
        (None, Some(module)) => beside.join(module),
        (None, None) => bail!("{}: found no module, expected `module:` or --module", args.cases.display()),
    };
    let engine = Engine::new()?;
    let module = check::load(&engine, &module)?;
    let outcomes = cases::run(&engine, &module, &read.cases);
    let mut text = String::new();
    for outcome in &outcomes {
        match &outcome.wrong {
            None => text.push_str(&format!("ok      {}\n", outcome.name)),
            Some(wrong) => {
                text.push_str(&format!("FAILED  {}\n", outcome.name));
                wrong.lines().for_each(|line| text.push_str(&format!("        {line}\n")));
            }
        }
    }
    output::print(&text)?;
    match outcomes.iter().filter(|outcome| outcome.wrong.is_some()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} cases failed", outcomes.len()),
    }
}

fn status(args: &StatusArgs) -> Result<()> {
    let path = args.state.join(STATUS);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let status: Status = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    match args.output {
        OutputArg::Text => output::print(&status.to_string()),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(&status)?),
    }
}
