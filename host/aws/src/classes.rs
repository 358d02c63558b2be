//! EC2NodeClasses: what they select in the account, whether it can be launched, and whether instances still are what they
//! select.
//!
//! What is found is a value: who writes it into the class's status is in `host/kube`. What a call costs is kept low by
//! caches, each for as long as Karpenter has them.

mod cache;
pub mod choice;
pub mod drift;
pub(crate) mod filters;
mod images;
mod profile;
pub(crate) mod reservations;
mod security_groups;
mod step;
mod subnets;
pub(crate) mod templates;
pub mod validation;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join4;
use tokio::time::timeout;
use whittle_api::conditions;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::{Resolved, Said, Topic};
use whittle_api::node_class::status::{CapacityReservation, Ec2NodeClassStatus, SecurityGroup, Subnet};

use self::cache::Cache;
use self::filters::Filters;
use self::images::Images;
use self::profile::Profiles;
use self::reservations::{Asked, Left};
use self::step::{Miss, Part, part};
use self::validation::{Checks, DryRun};
use crate::connect::Clients;
use crate::error::Failure;
use crate::instances::Instances;
use crate::known::Known;
use crate::launch::InstanceTypes;
use crate::market::Vpc;

/// A class is looked at again after this long, which is what subnets want (Karpenter: 1 min). What lasts longer is not
/// asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// And after this long when AWS did not answer or something was not there yet.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Subnets and reservations are asked for again after this long: a little less than [`LOOK_AGAIN`], so that each look
/// asks.
const SUBNETS_LAST: Duration = Duration::from_secs(55);
/// Security groups are asked for again after this long (Karpenter: 5 min).
const GROUPS_LAST: Duration = Duration::from_secs(5 * 60);

/// What the resolution of classes is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The region.
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
    /// Whether dry runs are made.
    pub dry_run: DryRun,
    /// Whether there is a way to IAM.
    pub vpc: Vpc,
}

/// Finds what classes select.
#[derive(Debug)]
pub struct Classes {
    clients: Clients,
    known: Arc<Known>,
    cluster: String,
    types: Arc<dyn InstanceTypes>,
    images: Images,
    profiles: Profiles,
    checks: Checks,
    subnets: Cache<Vec<Filters>, Vec<Subnet>>,
    instances: Instances,
    groups: Cache<Vec<Filters>, Vec<SecurityGroup>>,
    reservations: Cache<Vec<Asked>, Vec<CapacityReservation>>,
}

impl Classes {
    /// Nothing was found yet. What will be is put into `known`.
    #[must_use]
    pub fn new(
        clients: &Clients,
        (known, types): (Arc<Known>, Arc<dyn InstanceTypes>),
        settings: &Settings,
    ) -> Self {
        Self {
            types,
            clients: clients.clone(),
            known,
            cluster: settings.cluster.clone(),
            images: Images::new(clients.clone()),
            profiles: Profiles::new(clients.clone(), settings),
            checks: Checks::new(clients.clone(), settings.dry_run),
            subnets: Cache::new(SUBNETS_LAST),
            instances: Instances::new(clients, &settings.cluster),
            groups: Cache::new(GROUPS_LAST),
            reservations: Cache::new(SUBNETS_LAST),
        }
    }

    /// Looks for everything that a class selects, in Karpenter's order, and checks it.
    pub async fn resolve(&self, class: &Ec2NodeClass) -> Resolved {
        let before = Before::new(class);
        let spec = &class.spec;
        // At the start both are looked for at once, and a class without a cluster would have to be looked at again.
        drop(timeout(TRY_AGAIN, self.known.cluster_looked_for()).await);
        let cluster = self.known.cluster();
        let version = cluster.as_ref().and_then(|cluster| cluster.version.clone());
        let terms = (&spec.ami_selector_terms, version.as_deref());
        let (amis, reservations, subnets, groups) = join4(
            self.images.find(terms.0, terms.1),
            self.reservations(class),
            self.subnets(class),
            self.groups(class),
        )
        .await;
        let amis = amis.map_err(|miss| self.because(miss));
        let amis = part(Topic::Amis, amis, before.of(Topic::Amis, |status| status.amis.clone()));
        let reserved = before.of(Topic::CapacityReservations, |status| status.capacity_reservations.clone());
        let mut reservations = part(Topic::CapacityReservations, reservations, reserved);
        if reservations.said.is_so != Some(true) {
            // Instances that run in them are not to be replaced because somebody could not look.
            reservations.found.clone_from(&before.status.capacity_reservations);
        }
        let subnets =
            part(Topic::Subnets, subnets, before.of(Topic::Subnets, |status| status.subnets.clone()));
        let groups = part(
            Topic::SecurityGroups,
            groups,
            before.of(Topic::SecurityGroups, |status| status.security_groups.clone()),
        );
        let had = before.of(Topic::InstanceProfile, |status| status.instance_profile.clone());
        let profile = part(Topic::InstanceProfile, self.profiles.provide(class).await, had);

        let mut pressing = [
            amis.is_pressing,
            reservations.is_pressing,
            subnets.is_pressing,
            groups.is_pressing,
            profile.is_pressing,
        ]
        .contains(&true);
        let found = Ec2NodeClassStatus {
            subnets: subnets.found,
            security_groups: groups.found,
            capacity_reservations: reservations.found,
            amis: amis.found,
            instance_profile: profile.found,
            conditions: before.status.conditions.clone(),
        };
        let selects_reservations = !spec.capacity_reservation_selector_terms.is_empty();
        let of_reservations = selects_reservations.then_some(reservations.said);
        let mut said: Vec<Said> = [amis.said].into_iter().chain(of_reservations).collect();
        said.extend([subnets.said, groups.said, profile.said]);

        let mut resolved = class.clone();
        resolved.status = Some(found.clone());
        let checked = self.check(&resolved, &said, &before).await;
        pressing |= checked.is_pressing;
        said.push(checked.said);
        self.known.put_class(resolved);
        if let Err(failure) = self.profiles.sweep(class).await {
            tracing::warn!("instance profiles that nobody uses are not deleted: {failure}");
        }
        Resolved { found, said, again: if pressing { TRY_AGAIN } else { LOOK_AGAIN } }
    }

    /// Takes away what was made for a class that nobody uses: launch templates and instance profiles.
    ///
    /// # Errors
    ///
    /// What could not be taken away, and why.
    pub async fn release(&self, class: &Ec2NodeClass) -> Result<(), String> {
        let name = class.metadata.name.as_deref().unwrap_or_default();
        self.known.remove_class(name);
        let templates = templates::remove_all(&self.clients, &self.cluster, name).await;
        let profiles = self.profiles.remove_all(class).await;
        let said = [("launch templates", templates), ("instance profiles", profiles)];
        let failed = said.into_iter().filter_map(|(what, came)| Some(format!("{what}: {}", came.err()?)));
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// A class is gone.
    pub fn forget(&self, name: &str) {
        self.known.remove_class(name);
    }

    /// What is not known yet while the cluster is not found has that for its reason.
    fn because(&self, miss: Miss) -> Miss {
        match (miss, self.known.cluster_missing()) {
            (Miss::Unknown { .. }, Some(failure)) => Miss::Failed(failure),
            (miss, _) => miss,
        }
    }

    async fn subnets(&self, class: &Ec2NodeClass) -> Result<Vec<Subnet>, Miss> {
        let asked = filters::of_subnets(&class.spec.subnet_selector_terms);
        let found = kept(&self.subnets, asked, |asked| async move {
            let counted = subnets::find(&self.clients, &asked).await?;
            self.known.addresses.put(counted.iter().map(|(subnet, free)| (subnet.id.clone(), *free)));
            Ok(counted.into_iter().map(|(subnet, _)| subnet).collect())
        });
        some(found.await?, "SubnetsNotFound", "no subnet is selected by the terms of subnetSelectorTerms")
    }

    async fn groups(&self, class: &Ec2NodeClass) -> Result<Vec<SecurityGroup>, Miss> {
        let asked = filters::of_security_groups(&class.spec.security_group_selector_terms);
        let found =
            kept(
                &self.groups,
                asked,
                |asked| async move { security_groups::find(&self.clients, &asked).await },
            );
        let message = "no security group is selected by the terms of securityGroupSelectorTerms";
        some(found.await?, "SecurityGroupsNotFound", message)
    }

    /// That there are none just now is as it may be.
    async fn reservations(&self, class: &Ec2NodeClass) -> Result<Vec<CapacityReservation>, Miss> {
        let asked = reservations::asked(&class.spec.capacity_reservation_selector_terms);
        let found = kept(&self.reservations, asked, |asked| async move {
            let left = reservations::find(&self.clients, &asked).await?;
            self.count(&left).await?;
            Ok(left.into_iter().map(|(reservation, _)| reservation).collect())
        });
        Ok(found.await?)
    }

    /// What is left of reservations and what this cluster has of them is what they have for it.
    async fn count(&self, left: &[Left]) -> Result<(), Failure> {
        if left.is_empty() {
            return Ok(());
        }
        let all = self.instances.all().await?;
        self.known.put_reserved(reservations::counted(left, &all));
        Ok(())
    }

    /// Checks a class as soon as everything else is there.
    async fn check(&self, class: &Ec2NodeClass, said: &[Said], before: &Before) -> Part<()> {
        let topic = Topic::Validation;
        if said.iter().any(|said| said.is_so != Some(true)) {
            let message = "what the class selects is not all there".to_owned();
            let said = Said::unknown(topic, "DependenciesNotReady", message);
            return Part { found: (), said, is_pressing: false };
        }
        let cluster = self.known.cluster();
        let allowed = self.types.allowed(class.metadata.name.as_deref().unwrap_or_default());
        let came =
            self.checks.check(class, cluster.as_deref(), &allowed).await.map_err(|miss| self.because(miss));
        let reason = came.as_ref().copied().unwrap_or(topic.condition());
        let mut checked = part(topic, came.map(drop), before.of(topic, |_| ()));
        if checked.said.is_so == Some(true) {
            checked.said.reason = reason;
        }
        checked
    }
}

/// What was said of a class when it was looked at before.
struct Before {
    status: Ec2NodeClassStatus,
    generation: Option<i64>,
}

impl Before {
    fn new(class: &Ec2NodeClass) -> Self {
        let status = class.status.clone().unwrap_or_default();
        Self { status, generation: class.metadata.generation }
    }

    /// What was found then, if that was good and of the class as it is now.
    fn of<T>(&self, topic: Topic, read: impl FnOnce(&Ec2NodeClassStatus) -> T) -> Option<T> {
        let condition = conditions::find(&self.status.conditions, topic.condition())?;
        let is_good = condition.status == "True" && condition.observed_generation == self.generation;
        is_good.then(|| read(&self.status))
    }
}

/// What was answered a short while ago, or is answered now.
async fn kept<K: Ord + Clone, V: Clone, F: Future<Output = Result<V, Failure>>>(
    cache: &Cache<K, V>,
    asked: K,
    ask: impl FnOnce(K) -> F,
) -> Result<V, Failure> {
    if let Some(known) = cache.get(&asked, Instant::now()) {
        return Ok(known);
    }
    let found = ask(asked.clone()).await?;
    cache.put(asked, found.clone(), Instant::now());
    Ok(found)
}

fn some<T>(found: Vec<T>, reason: &'static str, message: &str) -> Result<Vec<T>, Miss> {
    if found.is_empty() { Err(Miss::Not { reason, message: message.to_owned() }) } else { Ok(found) }
}
