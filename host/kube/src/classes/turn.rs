//! One turn of one class: it is held and resolved while it lives, and let go when it ends and nobody uses it.

use std::sync::Arc;
use std::time::Duration;

use kube_client::api::{ListParams, Patch};
use kube_client::{Api, Client};
use kube_core::{ApiResource, DynamicObject, Resource as _};
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::Resolved;

use super::{Resolve, status};
use crate::cluster::{clock, merge, post};
use crate::error::{Reaction, message, reaction, unless_gone};
use crate::patch;
use crate::tell::{Subject, Told, Weight, told};

/// Keeps a class until what was made for it is gone (Karpenter).
const FINALIZER: &str = "karpenter.k8s.aws/termination";
/// What did not work is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Whether NodeClaims still use a class that ends is asked so often.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// When the server says that a class is gone, the watch is about to say so as well.
const GONE: Duration = Duration::from_secs(60);
/// So often a status is written anew because somebody else was quicker.
const CONFLICTS_MAX: usize = 5;
/// So many NodeClaims are named.
const NAMES_MAX: usize = 5;

/// What came of a turn.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) name: String,
    /// When the class is due again.
    pub(super) again: Duration,
    /// What is to be told.
    pub(super) told: Vec<Told>,
}

/// Turns a class.
pub(super) async fn turn<R: Resolve>(client: Client, resolver: Arc<R>, class: Ec2NodeClass) -> Turned {
    let name = class.metadata.name.clone().unwrap_or_default();
    let classes: Api<Ec2NodeClass> = Api::all(client.clone());
    let turned = if class.metadata.deletion_timestamp.is_some() {
        end(&client, &classes, resolver.as_ref(), &class).await
    } else {
        live(&classes, resolver.as_ref(), &class).await
    };
    match turned {
        Ok((again, told)) => Turned { name, again, told },
        Err(error) => {
            tracing::warn!(class = name, "EC2NodeClass {name}: {error}");
            Turned { name, again: TRY_AGAIN, told: Vec::new() }
        }
    }
}

type Came = Result<(Duration, Vec<Told>), String>;

/// Nothing is made for a class that is not held.
async fn live<R: Resolve>(classes: &Api<Ec2NodeClass>, resolver: &R, class: &Ec2NodeClass) -> Came {
    let name = class.metadata.name.clone().unwrap_or_default();
    if let Some(held) = patch::with_finalizer(&class.metadata, FINALIZER) {
        unless_gone(classes.patch(&name, &merge(), &Patch::Merge(held)).await)?;
    }
    let resolved = resolver.resolve(class).await;
    let news = write(classes, class, &resolved).await?;
    let told = news.into_iter().map(|(reason, note)| warning(class, reason, note)).collect();
    Ok((resolved.again, told))
}

/// Writes what was found, unless the class asks for something else by now.
async fn write(
    classes: &Api<Ec2NodeClass>,
    class: &Ec2NodeClass,
    resolved: &Resolved,
) -> Result<Vec<(&'static str, String)>, String> {
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let generation = class.metadata.generation;
    let mut now = class.clone();
    for _ in 0..CONFLICTS_MAX {
        if now.metadata.uid != class.metadata.uid || now.metadata.generation != generation {
            return Ok(Vec::new());
        }
        let before = now.status.clone();
        let mut after = before.clone().unwrap_or_default();
        status::write(&mut after, resolved, generation, clock());
        if before.as_ref() == Some(&after) {
            return Ok(Vec::new());
        }
        let known = before.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let news = status::news(known, &resolved.said);
        now.status = Some(after);
        match classes.replace_status(name, &post(), &now).await {
            Ok(_) => return Ok(news),
            Err(error) if reaction(&error) == Reaction::Gone => return Ok(Vec::new()),
            Err(error) if reaction(&error) == Reaction::Conflict => {
                let Some(newer) = classes.get_opt(name).await.map_err(|error| message(&error))? else {
                    return Ok(Vec::new());
                };
                now = newer;
            }
            Err(error) => return Err(message(&error)),
        }
    }
    Err("its status is changed by others all the time".to_owned())
}

async fn end<R: Resolve>(
    client: &Client,
    classes: &Api<Ec2NodeClass>,
    resolver: &R,
    class: &Ec2NodeClass,
) -> Came {
    let name = class.metadata.name.clone().unwrap_or_default();
    let Some(freed) = patch::without_finalizer(&class.metadata, FINALIZER) else {
        return Ok((GONE, Vec::new()));
    };
    let users = users(client, &name).await?;
    if !users.is_empty() {
        let note = format!("Waiting on NodeClaim termination for {}", listed(&users));
        let subject = Subject::class(class);
        return Ok((ASK_AGAIN, vec![told(subject, Weight::Normal, "WaitingOnNodeClaimTermination", note)]));
    }
    if let Err(why) = resolver.release(class).await {
        tracing::warn!(class = name, "what was made for EC2NodeClass {name} is not all gone: {why}");
        return Ok((TRY_AGAIN, vec![warning(class, "FailedTermination", why)]));
    }
    match classes.patch(&name, &merge(), &Patch::Merge(freed)).await {
        Ok(_) => {
            tracing::info!(class = name, "EC2NodeClass {name} is let go");
            Ok((GONE, Vec::new()))
        }
        Err(error) if reaction(&error) == Reaction::Gone => Ok((GONE, Vec::new())),
        // A newer one is on its way here.
        Err(error) if reaction(&error) == Reaction::Conflict => Ok((ASK_AGAIN, Vec::new())),
        Err(error) => Err(message(&error)),
    }
}

/// The NodeClaims that refer to a class. Those that cannot be understood hold an instance of it all the same.
async fn users(client: &Client, class: &str) -> Result<Vec<String>, String> {
    let resource = ApiResource::erase::<NodeClaim>(&());
    let claims: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let claims = claims.list(&ListParams::default()).await.map_err(|error| message(&error))?;
    let uses = |claim: &DynamicObject| {
        let reference = &claim.data["spec"]["nodeClassRef"];
        let says = |key: &str, value: &str| reference[key] == value;
        says("group", &Ec2NodeClass::group(&()))
            && says("kind", &Ec2NodeClass::kind(&()))
            && says("name", class)
    };
    let users = claims.items.into_iter().filter(uses);
    Ok(users.filter_map(|claim| claim.metadata.name).collect())
}

fn listed(names: &[String]) -> String {
    let first = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn warning(class: &Ec2NodeClass, reason: &'static str, note: String) -> Told {
    told(Subject::class(class), Weight::Warning, reason, note)
}
