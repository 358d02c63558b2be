//! A simulated cloud for a real cluster: instances are ConfigMaps, and become Nodes after they have booted.
//!
//! What EC2 would remember is remembered by the API server, so that this process can be killed at any moment and finds
//! its instances again. Nobody runs on these Nodes: kwok keeps them alive and plays their kubelet.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::api::{DeleteParams, ListParams};
use kube_client::{Api, Client, Error};
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::{Resolved, Said, Topic};
use whittle_api::quantity::quantities;
use whittle_control::ports::{Cloud, CloudError, End, Launched};
use whittle_core::lifecycle::given::labels_of;
use whittle_core::lifecycle::leftover::Running;
use whittle_core::model::labels;
use whittle_core::model::node::{Instance, NodeClaim};
use whittle_core::plan::LaunchOffering;

use crate::book::Book;
use crate::classes::Resolve;
use crate::cluster::{clock, namespaced, post};
use crate::error::{Reaction, message, reaction};

/// Marks the ConfigMaps that stand for instances.
const INSTANCE_LABEL: &str = "whittle.dev/simulated-instance";
/// The key of an instance in its ConfigMap.
const INSTANCE: &str = "instance";
/// The key of the NodeClaim's name in it.
const CLAIM: &str = "claim";
/// The key of the Node that the instance becomes.
const NODE: &str = "node";
/// Tells kwok that a Node is its own.
const KWOK: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// An EC2NodeClass is looked at again after this long, in case somebody else has written its status.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A Node that could not be made is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How the simulated cloud behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The AWS region that it plays.
    pub region: String,
    /// The namespace of its ConfigMaps.
    pub namespace: String,
    /// How long an instance boots until its Node is there.
    pub boot: Duration,
}

/// The simulated cloud.
#[derive(Clone)]
pub struct SimulatedCloud {
    client: Client,
    book: std::sync::Arc<Book>,
    settings: Settings,
}

impl SimulatedCloud {
    /// A cloud that launches what the classes in `book` have.
    #[must_use]
    pub const fn new(client: Client, book: std::sync::Arc<Book>, settings: Settings) -> Self {
        Self { client, book, settings }
    }

    /// Goes on with the instances that were booting when the last process ended.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn resume(&self) -> Result<(), CloudError> {
        for stored in self.stored().await? {
            self.boot(stored);
        }
        Ok(())
    }

    fn maps(&self) -> Api<ConfigMap> {
        namespaced(&self.client, &self.settings.namespace)
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    async fn stored(&self) -> Result<Vec<Stored>, CloudError> {
        let selector = ListParams::default().labels(&format!("{INSTANCE_LABEL}=true"));
        let maps = self.maps().list(&selector).await.map_err(|error| transport(&error))?;
        Ok(maps.items.iter().filter_map(Stored::read).collect())
    }

    /// Makes the Node when the instance has booted, unless it was ended meanwhile.
    fn boot(&self, stored: Stored) {
        let this = self.clone();
        let boots_until = stored.instance.launched + boot_time(self.settings.boot);
        let left = Duration::from_millis(boots_until.since(clock()).millis());
        tokio::spawn(async move {
            tokio::time::sleep(left).await;
            while let Err(error) = this.join(&stored).await {
                tracing::warn!(node = stored.node_name(), "a simulated node does not come up: {error}");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        });
    }

    async fn join(&self, stored: &Stored) -> Result<(), String> {
        let is_there = self.maps().get_opt(&stored.map_name()).await.map_err(|error| message(&error))?;
        if is_there.is_none() {
            return Ok(());
        }
        match self.nodes().create(&post(), &stored.node).await {
            Ok(_) => Ok(()),
            Err(error) if reaction(&error) == Reaction::Conflict => Ok(()),
            Err(error) => Err(message(&error)),
        }
    }

    fn instance(&self, claim: &NodeClaim, offerings: &[LaunchOffering]) -> Option<Instance> {
        let chosen = offerings
            .iter()
            .min_by_key(|one| (one.capacity_type, one.price, &one.instance_type, &one.zone))?;
        let kind = self.book.instance_type(&claim.node_class, &chosen.instance_type)?;
        Some(Instance {
            provider_id: format!("aws:///{}/{}", chosen.zone, instance_id(&claim.name)),
            instance_type: kind.name.clone(),
            zone: chosen.zone.clone(),
            capacity_type: chosen.capacity_type,
            reservation: chosen.reservation.clone(),
            price: chosen.price,
            allocatable: kind.allocatable(),
            capacity: kind.capacity,
            launched: clock(),
        })
    }

    /// The Node as its kubelet makes it.
    fn node(&self, claim: &NodeClaim, instance: &Instance) -> Node {
        let kind = self.book.instance_type(&claim.node_class, &instance.instance_type);
        let name = format!("{}.{}.compute.internal", id_of(&instance.provider_id), self.settings.region);
        let of_kubelet =
            [labels::ARCH, labels::OS, labels::INSTANCE_TYPE, labels::ZONE, labels::REGION, labels::ZONE_ID];
        let mut node_labels: BTreeMap<String, String> =
            labels_of(kind.as_ref(), instance, &self.settings.region)
                .into_iter()
                .filter(|(key, _)| of_kubelet.contains(&key.as_str()))
                .collect();
        node_labels.insert(labels::HOSTNAME.to_owned(), name.clone());
        node_labels.insert(labels::NODE_POOL.to_owned(), claim.node_pool.clone());
        let taints = claim.taints.iter().chain(&claim.startup_taints).map(|taint| Taint {
            key: taint.key.clone(),
            value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
            effect: format!("{:?}", taint.effect),
            time_added: None,
        });
        let unregistered = Taint {
            key: labels::UNREGISTERED_TAINT.to_owned(),
            value: None,
            effect: "NoExecute".to_owned(),
            time_added: None,
        };
        let (annotation, value) = KWOK;
        Node {
            metadata: ObjectMeta {
                name: Some(name),
                labels: Some(node_labels),
                annotations: Some(BTreeMap::from([(annotation.to_owned(), value.to_owned())])),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                provider_id: Some(instance.provider_id.clone()),
                taints: Some(taints.chain([unregistered]).collect()),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                capacity: Some(quantities(&instance.capacity)),
                allocatable: Some(quantities(&instance.allocatable)),
                ..NodeStatus::default()
            }),
        }
    }
}

/// An instance as its ConfigMap has it.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    instance: Instance,
    claim: String,
    node: Node,
}

impl Stored {
    fn map_name(&self) -> String {
        map_name(&self.instance.provider_id)
    }

    fn node_name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    fn read(map: &ConfigMap) -> Option<Self> {
        let data = map.data.as_ref()?;
        Some(Self {
            instance: serde_json::from_str(data.get(INSTANCE)?).ok()?,
            claim: data.get(CLAIM)?.clone(),
            node: serde_json::from_str(data.get(NODE)?).ok()?,
        })
    }

    fn map(&self) -> Result<ConfigMap, serde_json::Error> {
        let data = [
            (INSTANCE, serde_json::to_string(&self.instance)?),
            (CLAIM, self.claim.clone()),
            (NODE, serde_json::to_string(&self.node)?),
        ];
        Ok(ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.map_name()),
                labels: Some(BTreeMap::from([(INSTANCE_LABEL.to_owned(), "true".to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ..ConfigMap::default()
        })
    }
}

fn boot_time(boot: Duration) -> whittle_core::model::time::Duration {
    whittle_core::model::time::Duration::from_millis(u64::try_from(boot.as_millis()).unwrap_or(u64::MAX))
}

/// The id follows from the NodeClaim's name, so that a second launch finds the first. FNV-1a (Fowler, Noll, Vo 1991).
fn instance_id(claim: &str) -> String {
    let hash = claim.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("i-0{hash:016x}")
}

fn id_of(provider_id: &str) -> &str {
    provider_id.rsplit_once('/').map_or(provider_id, |(_, id)| id)
}

fn map_name(provider_id: &str) -> String {
    format!("simulated-{}", id_of(provider_id))
}

fn transport(error: &Error) -> CloudError {
    CloudError::Transport { message: message(error) }
}

/// Nothing is missing in this cloud, and nothing is made in it for a class.
impl Resolve for SimulatedCloud {
    async fn resolve(&self, class: &Ec2NodeClass) -> Resolved {
        let found = class.status.clone().unwrap_or_default();
        Resolved { found, said: Topic::NEEDED.into_iter().map(Said::so).collect(), again: LOOK_AGAIN }
    }

    async fn release(&self, _class: &Ec2NodeClass) -> Result<(), String> {
        Ok(())
    }

    fn forget(&self, _name: &str) {}
}

impl Cloud for SimulatedCloud {
    async fn launch(&self, claim: &NodeClaim, offerings: &[LaunchOffering]) -> Result<Launched, CloudError> {
        let Some(instance) = self.instance(claim, offerings) else {
            let message = "none of the offerings is in the EC2NodeClass".to_owned();
            return Err(CloudError::Rejected { message });
        };
        let node = self.node(claim, &instance);
        let stored = Stored { instance, claim: claim.name.clone(), node };
        let map = stored.map().map_err(|error| CloudError::Rejected { message: error.to_string() })?;
        match self.maps().create(&post(), &map).await {
            Ok(_) => {
                let instance = stored.instance.clone();
                self.boot(stored);
                Ok(instance.into())
            }
            Err(error) if reaction(&error) == Reaction::Conflict => {
                let known = self.maps().get(&stored.map_name()).await.map_err(|error| transport(&error))?;
                let known = Stored::read(&known).ok_or_else(|| CloudError::Rejected {
                    message: format!("ConfigMap {} is no instance", stored.map_name()),
                })?;
                Ok(known.instance.into())
            }
            Err(error) => Err(transport(&error)),
        }
    }

    async fn terminate(&self, provider_id: &str) -> Result<End, CloudError> {
        let name = map_name(provider_id);
        let map = self.maps().get_opt(&name).await.map_err(|error| transport(&error))?;
        let Some(map) = map else { return Ok(End::Over) };
        let forgotten = |result: Result<(), Error>| match result {
            Err(error) if reaction(&error) != Reaction::Gone => Err(transport(&error)),
            Ok(()) | Err(_) => Ok(()),
        };
        if let Some(stored) = Stored::read(&map) {
            let deleted = self.nodes().delete(stored.node_name(), &DeleteParams::default()).await;
            forgotten(deleted.map(drop))?;
        }
        // Last, so that what is half done is done again.
        forgotten(self.maps().delete(&name, &DeleteParams::default()).await.map(drop))?;
        Ok(End::Over)
    }

    async fn list(&self) -> Result<Vec<Running>, CloudError> {
        let running = self.stored().await?.into_iter().map(|stored| Running {
            provider_id: stored.instance.provider_id,
            claim: stored.claim,
            capacity_type: stored.instance.capacity_type,
            launched: stored.instance.launched,
        });
        Ok(running.collect())
    }
}
