//! `whittle policy`: the tools of whoever writes policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use whittle_policy::attachments::FILE;
use whittle_policy::author::{bench, cases, check, create, inspect, settings};
use whittle_policy::engine::Engine;
use whittle_policy::status::Status;

use crate::args::{NewArgs, OutputArg, PolicyArgs, PolicyCommand, StatusArgs, TestArgs};
use crate::output;

/// The file in a state folder that says where policies stand.
pub(crate) const STATUS: &str = "status.json";

pub(crate) fn run(args: &PolicyArgs) -> Result<()> {
    match &args.command {
        PolicyCommand::New(args) => new(args),
        PolicyCommand::Check { path, settings } => check(path, settings.as_deref()),
        PolicyCommand::Test(args) => test(args),
        PolicyCommand::Bench { file, settings } => bench(file, settings.as_deref()),
        PolicyCommand::Inspect { file, settings } => {
            let settings = settings.as_deref().map(settings::parse).transpose()?;
            let engine = Engine::new()?;
            let module = check::load(&engine, file)?;
            output::print(&inspect::inspect(&engine, &module, settings.as_deref())?)
        }
        PolicyCommand::Status(args) => status(args),
    }
}

fn check(path: &Path, settings: Option<&str>) -> Result<()> {
    let given = settings.map(settings::parse).transpose()?;
    let engine = Arc::new(Engine::new()?);
    if !path.is_dir() {
        return output::print(&check::check_file(&engine, path, given.as_deref())?);
    }
    if given.is_some() {
        bail!("--settings: found a directory to check, expected a module: {FILE} has the settings");
    }
    output::print(&check::check_directory(&engine, path)?)
}

fn bench(file: &Path, settings: Option<&str>) -> Result<()> {
    let settings = settings.map(settings::parse).transpose()?.unwrap_or_else(|| "{}".to_owned());
    let engine = Engine::new()?;
    let module = check::load(&engine, file)?;
    let measured = bench::measure(&engine, &module, &settings)?;
    output::print(&bench::text(&measured))?;
    match measured.iter().filter(|one| one.fault.is_some()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} questions came to nothing", measured.len()),
    }
}

fn new(args: &NewArgs) -> Result<()> {
    let parent = std::env::current_dir().context("there is no folder to make it in")?;
    let sdk = match &args.sdk {
        Some(sdk) => sdk.clone(),
        None => find_sdk(&parent).or_else(|| find_sdk(&std::env::current_exe().ok()?)).context(
            "found no guest-sdk above this folder or this program, expected --sdk PATH of a checkout's",
        )?,
    };
    let sdk = sdk.canonicalize().with_context(|| format!("--sdk: found nothing at {}", sdk.display()))?;
    if !sdk.join("Cargo.toml").is_file() {
        bail!("--sdk: found no Cargo.toml in {}, expected the folder guest-sdk of a checkout", sdk.display());
    }
    let folder = create::create(&parent, &args.name, args.hook.into(), &sdk)?;
    let file = format!("target/wasm32-unknown-unknown/release/{}.wasm", args.name.replace('-', "_"));
    let made = folder.strip_prefix(&parent).unwrap_or(&folder).display();
    output::print(&format!(
        "{made} is made, and passes as it stands:\n\n  cd {made}\n  cargo test\n  cargo build --release --target \
         wasm32-unknown-unknown\n  whittle policy check {file}\n  whittle policy test cases.yaml\n"
    ))
}

/// The SDK in a checkout of Whittle that `place` lies in.
fn find_sdk(place: &Path) -> Option<PathBuf> {
    place.ancestors().map(|above| above.join("guest-sdk")).find(|sdk| sdk.join("Cargo.toml").is_file())
}

fn test(args: &TestArgs) -> Result<()> {
    let text = fs::read_to_string(&args.cases).with_context(|| args.cases.display().to_string())?;
    let read = cases::parse(&args.cases.display().to_string(), &text)?;
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
        let word = if outcome.wrong.is_empty() { "ok    " } else { "FAILED" };
        text.push_str(&format!("{word}  {}\n", outcome.name));
        outcome.wrong.iter().for_each(|line| text.push_str(&format!("        {line}\n")));
    }
    output::print(&text)?;
    match outcomes.iter().filter(|outcome| !outcome.wrong.is_empty()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} cases failed", outcomes.len()),
    }
}

fn status(args: &StatusArgs) -> Result<()> {
    let path = args.state.join(STATUS);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "found no status in {}, expected the folder of a process's --policy-state",
            args.state.display()
        )
    })?;
    let status: Status = serde_json::from_str(&text)
        .with_context(|| format!("{}: found what no process of this version writes", path.display()))?;
    match args.output {
        OutputArg::Text => output::print(&status.to_string()),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(&status)?),
    }
}
