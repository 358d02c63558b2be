//! The instance profile of a class: the one that it names, or one that is made for its role.
//!
//! A profile that is made is called by what it is for, so that whoever looks again finds it, and a class whose role
//! changes gets another one. The old one stays for a while and as long as an instance has it: without it an instance
//! loses its rights.
//!
//! IAM is called for the profiles of roles alone. One that is given is taken as it is, and whether it is there is told by a
//! dry run: who names profiles need not allow IAM, and from an isolated VPC there is no way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_iam::types;
use whittle_api::node_class::Ec2NodeClass;
use whittle_core::model::labels;
use whittle_core::model::labels::REGION;

use crate::classes::Settings;
use crate::classes::cache::Cache;
use crate::classes::step::Miss;
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::launch::tags;
use crate::launch::template::digest;
use crate::market::Vpc;

/// A profile that was found as it has to be is looked at again after this long (Karpenter: 15 min).
const LASTS: Duration = Duration::from_secs(15 * 60);
/// A profile that a class does not use any more stays this long: launches are under way (Karpenter: 1 h).
const PROTECTED: Duration = Duration::from_secs(3_600);
/// IAM takes a name of so many characters.
const NAME_MAX: usize = 128;
/// Whether there are profiles to take away is looked at so often (Karpenter: 30 min).
const SWEEP_EVERY: Duration = Duration::from_secs(30 * 60);

/// Makes instance profiles and takes them away.
#[derive(Debug)]
pub(crate) struct Profiles {
    clients: Clients,
    region: String,
    cluster: String,
    vpc: Vpc,
    found: Cache<String, ()>,
    swept: Cache<String, ()>,
    /// Since when nothing is launched with a profile any more, by its name.
    retired: Mutex<BTreeMap<String, Instant>>,
}

/// A profile as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    path: String,
    role: String,
    tags: BTreeMap<String, String>,
}

/// What has to be done to a profile that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Repairs {
    remove: Vec<String>,
    add: bool,
    tag: bool,
}

impl Profiles {
    /// Nothing was looked for yet.
    pub(crate) fn new(clients: Clients, settings: &Settings) -> Self {
        Self {
            clients,
            region: settings.region.clone(),
            cluster: settings.cluster.clone(),
            vpc: settings.vpc,
            found: Cache::new(LASTS),
            swept: Cache::new(SWEEP_EVERY),
            retired: Mutex::default(),
        }
    }

    /// The profile of a class. One that is made for its role is there afterwards.
    pub(crate) async fn provide(&self, class: &Ec2NodeClass) -> Result<Option<String>, Miss> {
        if let Some(given) = &class.spec.instance_profile {
            return Ok(Some(given.clone()));
        }
        let Some(wanted) = self.wanted(class) else {
            let message = "neither a role nor an instance profile is given".to_owned();
            return Err(Miss::Not { reason: "InstanceProfileNotFound", message });
        };
        if self.vpc == Vpc::Isolated {
            let message = "IAM cannot be reached from an isolated VPC, so no instance profile is made for spec.role: \
                           set spec.instanceProfile instead";
            return Err(Miss::Not { reason: "IsolatedVPC", message: message.to_owned() });
        }
        self.made(&wanted).await.map(Some)
    }

    async fn made(&self, wanted: &Wanted) -> Result<String, Miss> {
        if self.found.get(&wanted.name, Instant::now()).is_some() {
            return Ok(wanted.name.clone());
        }
        let repairs = match self.profile(&wanted.name).await? {
            Some(profile) => repairs(&profile, wanted),
            None => {
                self.make(wanted).await?;
                Repairs { add: true, ..Repairs::default() }
            }
        };
        self.repair(wanted, repairs).await?;
        self.found.put(wanted.name.clone(), (), Instant::now());
        Ok(wanted.name.clone())
    }

    async fn profile(&self, name: &str) -> Result<Option<types::InstanceProfile>, Failure> {
        match self.clients.iam.get_instance_profile().instance_profile_name(name).send().await {
            Ok(answer) => Ok(answer.instance_profile),
            Err(error) => {
                unless(Failure::of("iam:GetInstanceProfile", &error), Reaction::Missing).map(|()| None)
            }
        }
    }

    async fn make(&self, wanted: &Wanted) -> Result<(), Failure> {
        let made = self
            .clients
            .iam
            .create_instance_profile()
            .instance_profile_name(&wanted.name)
            .path(&wanted.path)
            .set_tags(Some(iam_tags(wanted)))
            .send()
            .await;
        match made {
            Ok(_) => {
                tracing::info!(profile = wanted.name, role = wanted.role, "an instance profile is made");
                Ok(())
            }
            Err(error) => unless(Failure::of("iam:CreateInstanceProfile", &error), Reaction::There),
        }
    }

    async fn repair(&self, wanted: &Wanted, repairs: Repairs) -> Result<(), Miss> {
        for role in &repairs.remove {
            self.remove_role(&wanted.name, role).await?;
        }
        if repairs.tag {
            let request = self.clients.iam.tag_instance_profile().instance_profile_name(&wanted.name);
            let tagged = request.set_tags(Some(iam_tags(wanted))).send().await;
            tagged.map_err(|error| Failure::of("iam:TagInstanceProfile", &error))?;
        }
        if !repairs.add {
            return Ok(());
        }
        let request = self.clients.iam.add_role_to_instance_profile().instance_profile_name(&wanted.name);
        match request.role_name(&wanted.role).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of("iam:AddRoleToInstanceProfile", &error) {
                failure if is_about_role(&failure, &wanted.name) => {
                    let message = format!("there is no role {}: {failure}", wanted.role);
                    Err(Miss::Not { reason: "RoleNotFound", message })
                }
                failure => Err(failure.into()),
            },
        }
    }

    async fn remove_role(&self, profile: &str, role: &str) -> Result<(), Failure> {
        let request = self.clients.iam.remove_role_from_instance_profile();
        match request.instance_profile_name(profile).role_name(role).send().await {
            Ok(_) => Ok(()),
            Err(error) => unless(Failure::of("iam:RemoveRoleFromInstanceProfile", &error), Reaction::Missing),
        }
    }

    /// Takes away the profiles of a class that nothing uses any more, now and then.
    pub(crate) async fn sweep(&self, class: &Ec2NodeClass) -> Result<(), Failure> {
        let Some(path) = self.path_of_made(class) else { return Ok(()) };
        if self.swept.get(&path, Instant::now()).is_some() {
            return Ok(());
        }
        self.swept.put(path.clone(), (), Instant::now());
        let current = self.wanted(class).map(|wanted| wanted.name);
        let all = self.below(&path).await?;
        let names: BTreeSet<&str> = all.iter().map(types::InstanceProfile::instance_profile_name).collect();
        let due = self.with_retired(|retired| due(retired, &names, current.as_deref(), Instant::now()));
        for profile in all.iter().filter(|profile| due.contains(profile.instance_profile_name())) {
            if !self.is_used(profile.arn()).await? {
                self.remove(profile).await?;
            }
        }
        Ok(())
    }

    /// Takes away all profiles that were made for a class.
    pub(crate) async fn remove_all(&self, class: &Ec2NodeClass) -> Result<(), Failure> {
        let Some(path) = self.path_of_made(class) else { return Ok(()) };
        for profile in self.below(&path).await? {
            self.remove(&profile).await?;
        }
        Ok(())
    }

    async fn below(&self, path: &str) -> Result<Vec<types::InstanceProfile>, Failure> {
        let mut all = Vec::new();
        let mut pages = self.clients.iam.list_instance_profiles().path_prefix(path).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("iam:ListInstanceProfiles", &error))?;
            all.extend(page.instance_profiles);
        }
        Ok(all)
    }

    async fn is_used(&self, arn: &str) -> Result<bool, Failure> {
        let living = ["pending", "running", "stopping", "stopped", "shutting-down"].map(str::to_owned);
        let filters = vec![
            ("iam-instance-profile.arn".to_owned(), vec![arn.to_owned()]),
            ("instance-state-name".to_owned(), living.to_vec()),
        ];
        let request = self.clients.ec2.describe_instances();
        let answer = request.set_filters(Some(super::filters::sdk(&filters))).send().await;
        let answer = answer.map_err(|error| Failure::of("ec2:DescribeInstances", &error))?;
        // A page can be empty and not the last: who cannot be sure takes nothing away.
        Ok(!answer.reservations().is_empty() || answer.next_token().is_some())
    }

    async fn remove(&self, profile: &types::InstanceProfile) -> Result<(), Failure> {
        let name = profile.instance_profile_name();
        for role in profile.roles() {
            self.remove_role(name, role.role_name()).await?;
        }
        match self.clients.iam.delete_instance_profile().instance_profile_name(name).send().await {
            Ok(_) => tracing::info!(profile = name, "an instance profile is deleted"),
            Err(error) => unless(Failure::of("iam:DeleteInstanceProfile", &error), Reaction::Missing)?,
        }
        self.found.remove(&name.to_owned());
        self.with_retired(|retired| retired.remove(name));
        Ok(())
    }

    /// Where profiles can be that were made for a class: nowhere when it names one, or when IAM is out of reach. A class
    /// that had a role before it named a profile keeps those; Karpenter's definitions let none do so.
    fn path_of_made(&self, class: &Ec2NodeClass) -> Option<String> {
        let makes = self.vpc == Vpc::Open && class.spec.instance_profile.is_none();
        makes.then(|| self.path(class)).flatten()
    }

    /// Everything that is made for a class lies below this (Karpenter's path).
    fn path(&self, class: &Ec2NodeClass) -> Option<String> {
        let uid = class.metadata.uid.as_deref()?;
        Some(format!("/karpenter/{}/{}/{uid}/", self.region, self.cluster))
    }

    fn wanted(&self, class: &Ec2NodeClass) -> Option<Wanted> {
        let role = class.spec.role.as_deref()?;
        let path = self.path(class)?;
        // A role may be given with its path, and IAM wants its name.
        let role = role.rsplit_once('/').map_or(role, |(_, name)| name).to_owned();
        let class_name = class.metadata.name.clone().unwrap_or_default();
        let mut of_profile = class.spec.tags.clone();
        of_profile.extend([
            (format!("kubernetes.io/cluster/{}", self.cluster), "owned".to_owned()),
            (tags::CLUSTER.to_owned(), self.cluster.clone()),
            (labels::NODE_CLASS.to_owned(), class_name.clone()),
            (REGION.to_owned(), self.region.clone()),
        ]);
        let name = name(&self.cluster, &[&path, &class_name, &role].map(String::as_str).join("\n"));
        Some(Wanted { name, path, role, tags: of_profile })
    }

    fn with_retired<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Instant>) -> T) -> T {
        change(&mut self.retired.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the profile for `what` is called. The digest says all of it, so a cluster's name that is too long may be cut.
fn name(cluster: &str, what: &str) -> String {
    let digest = digest(what);
    let room = NAME_MAX.saturating_sub(digest.len() + 1);
    format!("{}_{digest}", cluster.chars().take(room).collect::<String>())
}

/// Whether it is the role that is missing. IAM says the same of a profile that it does not know yet, right after that was
/// made, and only the message tells them apart (Karpenter reads it as well).
fn is_about_role(failure: &Failure, profile: &str) -> bool {
    let message = failure.message.replace(profile, "").to_ascii_lowercase();
    failure.reaction() == Reaction::Missing && message.contains("role")
}

/// Whatever it is, but for one thing that is as well as done.
fn unless(failure: Failure, fine: Reaction) -> Result<(), Failure> {
    if failure.reaction() == fine { Ok(()) } else { Err(failure) }
}

fn iam_tags(wanted: &Wanted) -> Vec<types::Tag> {
    // Without a key or a value there would be no tag, and both are there.
    wanted
        .tags
        .iter()
        .filter_map(|(key, value)| types::Tag::builder().key(key).value(value).build().ok())
        .collect()
}

fn repairs(profile: &types::InstanceProfile, wanted: &Wanted) -> Repairs {
    let roles = profile.roles().iter().map(types::Role::role_name);
    let others: Vec<String> = roles.clone().filter(|role| *role != wanted.role).map(str::to_owned).collect();
    let there: BTreeMap<&str, &str> = profile.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    Repairs {
        add: !roles.into_iter().any(|role| role == wanted.role),
        remove: others,
        tag: wanted.tags.iter().any(|(key, value)| there.get(key.as_str()) != Some(&value.as_str())),
    }
}

/// The profiles that nothing was launched with for long enough. Of those that are seen for the first time it is not known
/// how long that is.
fn due(
    retired: &mut BTreeMap<String, Instant>,
    names: &BTreeSet<&str>,
    current: Option<&str>,
    now: Instant,
) -> BTreeSet<String> {
    if let Some(current) = current {
        retired.remove(current);
    }
    let others = names.iter().filter(|name| Some(**name) != current);
    let due = others.filter(|name| {
        let since = *retired.entry((**name).to_owned()).or_insert(now);
        now.duration_since(since) >= PROTECTED
    });
    due.map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests;
