//! `whittle why`: one question about a pod or a node, put to the loop.

use std::io::Write as _;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::Api;
use serde::Serialize;
use whittle_control::explain;
use whittle_kube::error::message;
use whittle_kube::view::View;
use whittle_sim::plan;

use crate::args::{FromArgs, OutputArg, WhyArgs, WhyCommand, WorldArgs};
use crate::{look, output, simulate};

pub(crate) fn run(args: &WhyArgs) -> Result<()> {
    match &args.about {
        WhyCommand::Pod { pod, from } => {
            let (namespace, name) = pod.split_once('/').unwrap_or(("default", pod));
            let full = "expected NAMESPACE/NAME";
            ensure!(!namespace.is_empty() && !name.is_empty() && !name.contains('/'), "pod {pod:?}: {full}");
            about_pod(namespace, name, from)
        }
        WhyCommand::Node { node, from } => about_node(node, from),
    }
}

fn about_pod(namespace: &str, name: &str, from: &FromArgs) -> Result<()> {
    let missing = || anyhow!("there is no pod {namespace}/{name}");
    let answer = match &from.dir {
        Some(_) => {
            let stands = undecided(from)?;
            let uid = stands.pod(namespace, name).ok_or_else(missing)?;
            explain::pod(&stands.controller, uid, stands.now)
        }
        None => look::runtime()?.block_on(async {
            let client = look::client(from.look.kubeconfig.as_deref()).await?;
            let pod = Api::<Pod>::namespaced(client.clone(), namespace).get_opt(name).await;
            let unread = |error| anyhow!("cannot read pod {namespace}/{name}: {}", message(&error));
            let pod = pod.map_err(unread)?.ok_or_else(missing)?;
            let mut view = look::view(&from.look, &client).await?;
            let now = view.now();
            warn_of(&view)?;
            anyhow::Ok(explain::pod(&view.controller, &pod.metadata.uid.unwrap_or_default(), now))
        })?,
    };
    show(&answer.ok_or_else(missing)?, from.output)
}

fn about_node(name: &str, from: &FromArgs) -> Result<()> {
    let answer = match &from.dir {
        Some(_) => {
            let stands = undecided(from)?;
            explain::node(&stands.controller, name, stands.now)
        }
        None => look::runtime()?.block_on(async {
            let client = look::client(from.look.kubeconfig.as_deref()).await?;
            let mut view = look::view(&from.look, &client).await?;
            let now = view.now();
            warn_of(&view)?;
            anyhow::Ok(explain::node(&view.controller, name, now))
        })?,
    };
    let missing = || anyhow!("no NodeClaim is called {name}, or has a Node of this name");
    show(&answer.ok_or_else(missing)?, from.output)
}

/// Says what could not be understood: the answer may be another one for it. Beside the answer, which programs may read.
fn warn_of(view: &View) -> Result<()> {
    let mut complaints = std::io::stderr().lock();
    for line in view.unclear() {
        writeln!(complaints, "not understood: {line}")?;
    }
    Ok(())
}

fn undecided(from: &FromArgs) -> Result<plan::Undecided> {
    let FromArgs { look, dir, output } = from.clone();
    let world = WorldArgs {
        dir: dir.context("a directory")?,
        seed: None,
        region: look.region,
        decide: look.decide,
        output,
    };
    let (options, _) = simulate::options(&world)?;
    plan::undecided(&world.dir, &options).map_err(|problems| anyhow!(problems.to_string()))
}

fn show(answer: &(impl Serialize + ToString), how: OutputArg) -> Result<()> {
    match how {
        OutputArg::Text => output::print(&answer.to_string()),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(answer)?),
    }
}
