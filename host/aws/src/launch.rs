//! Instances: launched, looked for, ended. What each launch may choose among is the plan's.

mod answer;
mod disks;
mod fleet;
mod network;
mod request;
pub mod seen;
pub(crate) mod tags;
pub(crate) mod template;
mod templates;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use whittle_control::ports::news::{InstanceDrift, InstanceNotice};
use whittle_control::ports::{self, Cloud, CloudError, End};
use whittle_core::event::NoticeKind;
use whittle_core::lifecycle::leftover::Running;
use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::node::{Instance, NodeClaim};
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::LaunchOffering;

use self::answer::Launched;
use self::fleet::Fleets;
use self::request::Request;
use self::seen::{Seen, by_claim};
use crate::batch::{Batcher, Window};
use crate::classes::drift::drift;
use crate::classes::reservations::ends;
use crate::connect::Clients;
use crate::instances::Instances;
use crate::known::Known;
use crate::tagging::{self, Lacking};

/// Launches are gathered like this (Karpenter).
const LAUNCHES: Window =
    Window { idle: Duration::from_millis(35), max: Duration::from_secs(1), items: 1_000 };

/// Who knows what instance types are like, and what they cost.
pub trait InstanceTypes: fmt::Debug + Send + Sync {
    /// An instance type as a class has it.
    fn instance_type(&self, node_class: &str, name: &str) -> Option<InstanceType>;

    /// The instance types of a class that one of its NodePools allows, or all of them where none does.
    fn allowed(&self, node_class: &str) -> Vec<InstanceType>;
}

/// EC2.
pub struct Ec2 {
    cluster: String,
    known: Arc<Known>,
    types: Arc<dyn InstanceTypes>,
    instances: Instances,
    launches: Batcher<Arc<Request>, String, Result<Launched, CloudError>>,
    fleets: Arc<Fleets>,
    clock: fn() -> Timestamp,
    heard: Box<dyn Fn(Vec<InstanceDrift>, Vec<InstanceNotice>) + Send + Sync>,
    tagging: mpsc::Sender<Lacking>,
}

/// So many instances wait for their tags; the others are listed again.
const TAGGED_AT_ONCE: usize = 1_000;

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Ec2 {
    /// EC2 for this cluster. `heard` is told of each listed instance whether it is what its class selects, and of those that
    /// are in a capacity block which is about to end.
    #[must_use]
    pub fn new(
        clients: &Clients,
        cluster: &str,
        (known, types): (Arc<Known>, Arc<dyn InstanceTypes>),
        clock: fn() -> Timestamp,
        heard: impl Fn(Vec<InstanceDrift>, Vec<InstanceNotice>) + Send + Sync + 'static,
    ) -> Self {
        let (tagging, asked) = mpsc::channel(TAGGED_AT_ONCE);
        // Ends with the sender.
        tokio::spawn(tagging::tag(clients.clone(), asked));
        let fleets = Arc::new(Fleets::new(clients.clone(), cluster, Arc::clone(&known), clock));
        let launching = Arc::clone(&fleets);
        let launches = Batcher::new(LAUNCHES, move |request: Arc<Request>, claims| {
            let fleets = Arc::clone(&launching);
            async move { fleets.launch(&request, claims).await }
        });
        Self {
            cluster: cluster.to_owned(),
            known,
            types,
            instances: Instances::new(clients, cluster),
            launches,
            fleets,
            clock,
            heard: Box::new(heard),
            tagging,
        }
    }

    fn request(&self, claim: &NodeClaim, offerings: &[LaunchOffering]) -> Result<Request, CloudError> {
        let wait = |what: String| CloudError::Transport { message: what };
        let name = &claim.node_class;
        let class = self
            .known
            .class(name)
            .ok_or_else(|| wait(format!("what EC2NodeClass {name} selects is not known yet")))?;
        let cluster = self.known.cluster().ok_or_else(|| wait("the cluster is not known yet".to_owned()))?;
        let types = |kind: &str| self.types.instance_type(name, kind);
        request::request((&cluster, &class, &self.known.addresses), claim, offerings, types)
            .map_err(|message| CloudError::Rejected { message })
    }

    /// The instance that was launched for this NodeClaim by somebody whose answer was lost.
    async fn launched_before(&self, claim: &NodeClaim) -> Result<Option<Instance>, CloudError> {
        let all = self.instances.all().await?;
        let found = by_claim(&all).get(&claim.name).copied().filter(|one| !one.is_terminated).cloned();
        Ok(found.map(|one| {
            tracing::info!(claim = claim.name, instance = one.id, "was launched before");
            self.instance(claim, &one.id, &offering_of(&one), one.launched)
        }))
    }

    fn instance(
        &self,
        claim: &NodeClaim,
        id: &str,
        offering: &LaunchOffering,
        launched: Timestamp,
    ) -> Instance {
        let kind = self.types.instance_type(&claim.node_class, &offering.instance_type);
        let known = kind.as_ref().and_then(|kind| {
            kind.offering(&offering.zone, offering.capacity_type, offering.reservation.as_deref())
        });
        Instance {
            provider_id: format!("aws:///{}/{id}", offering.zone),
            instance_type: offering.instance_type.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type,
            reservation: offering.reservation.clone(),
            price: known.map_or(offering.price, |known| known.price),
            allocatable: kind.as_ref().map(InstanceType::allocatable).unwrap_or_default(),
            capacity: kind.map(|kind| kind.capacity).unwrap_or_default(),
            launched,
        }
    }

    /// What is to be said of instances that were listed: whether they are what their class selects, and by their tags.
    fn look_over(&self, running: &[(&Seen, &str)]) {
        let drifts = running.iter().filter_map(|(one, _)| {
            let class = self.known.class(one.node_class()?)?;
            let kind = self.types.instance_type(one.node_class()?, &one.instance_type);
            let found = drift(&class, &one.for_drift(kind.map(|kind| kind.labels)));
            Some(InstanceDrift { provider_id: one.provider_id(), found })
        });
        let now = (self.clock)();
        let ends = running.iter().filter_map(|(one, _)| {
            let class = self.known.class(one.node_class()?)?;
            let deadline = ends(&class, one.reservation.as_deref()?)?.max(now);
            let (instance, kind) = (one.id.clone(), NoticeKind::Maintenance);
            Some(InstanceNotice { instance, kind, received: now, deadline })
        });
        (self.heard)(drifts.collect(), ends.collect());
        for (one, claim) in running {
            let lacking = tagging::lacking(one, claim);
            // A full queue is emptied by the next time.
            if !lacking.is_empty() && self.tagging.try_send((one.id.clone(), lacking)).is_err() {
                break;
            }
        }
    }
}

fn offering_of(seen: &Seen) -> LaunchOffering {
    LaunchOffering {
        instance_type: seen.instance_type.clone(),
        zone: seen.zone.clone(),
        capacity_type: seen.capacity_type,
        reservation: seen.reservation.clone(),
        price: Price::default(),
    }
}

impl Cloud for Ec2 {
    async fn launch(
        &self,
        claim: &NodeClaim,
        offerings: &[LaunchOffering],
    ) -> Result<ports::Launched, CloudError> {
        let request = Arc::new(self.request(claim, offerings)?);
        let addresses = &self.known.addresses;
        for (subnet, count) in request.addresses() {
            addresses.take(subnet, count);
        }
        let answer = self.launches.ask(Arc::clone(&request), claim.name.clone()).await;
        let answer = answer.unwrap_or_else(|| {
            Err(CloudError::Transport { message: "the launch was given up at the end".to_owned() })
        });
        let used = answer.as_ref().ok().map(|launched| launched.subnet.as_str());
        for (subnet, count) in request.addresses().into_iter().filter(|(subnet, _)| Some(*subnet) != used) {
            addresses.give_back(subnet, count);
        }
        answer.map(|Launched { id, offering, refused, .. }| {
            let instance = self.instance(claim, &id, &offering, (self.clock)());
            ports::Launched { instance, refused }
        })
    }

    async fn launch_again(
        &self,
        claim: &NodeClaim,
        offerings: &[LaunchOffering],
    ) -> Result<ports::Launched, CloudError> {
        match self.launched_before(claim).await? {
            Some(instance) => Ok(instance.into()),
            None => self.launch(claim, offerings).await,
        }
    }

    async fn terminate(&self, provider_id: &str) -> Result<End, CloudError> {
        let id = provider_id.rsplit_once('/').map_or(provider_id, |(_, id)| id);
        Ok(self.instances.end(id, (self.clock)()).await?)
    }

    async fn list(&self) -> Result<Vec<Running>, CloudError> {
        let all = self.instances.all().await?;
        let claims: BTreeMap<&str, String> =
            by_claim(&all).into_iter().map(|(claim, one)| (one.id.as_str(), claim)).collect();
        let running: Vec<(&Seen, &str)> = all
            .iter()
            .filter(|one| !one.is_terminated)
            .map(|one| (one, claims.get(one.id.as_str()).map_or("", String::as_str)))
            .collect();
        self.look_over(&running);
        self.fleets.sweep((self.clock)()).await;
        let listed = running.into_iter().map(|(one, claim)| Running {
            provider_id: one.provider_id(),
            claim: claim.to_owned(),
            capacity_type: one.capacity_type,
            launched: one.launched,
        });
        Ok(listed.collect())
    }
}

#[cfg(test)]
mod tests;
