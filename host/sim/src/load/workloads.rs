//! What makes pods, and pods that are there.

use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use whittle_api::convert::{self, workload};
use whittle_api::manifest::Loaded;
use whittle_api::problem::{At, Defect, Problem};
use whittle_core::cron::Schedule;
use whittle_core::model::time::{Duration, Timestamp};

use super::{Reader, key_of, taken};
use crate::input::{ClaimTemplate, Objects, PODS_MAX, WorkloadKey, WorkloadKind, WorkloadSpec};

/// On a Job, or on the template of its pods: how long each pod runs, in seconds.
pub(crate) const RUN_SECONDS: &str = "whittle.dev/run-seconds";

impl Reader<'_> {
    pub(super) fn workloads(&self, objects: &mut Objects, problems: &mut Vec<Problem>) {
        for loaded in &self.manifests.deployments {
            let made = workload::deployment(&loaded.object, &self.priorities);
            let made = few_enough(taken(made, loaded, problems), (loaded, "replicas"), objects, problems);
            self.put(objects, made, "Deployment", WorkloadKind::Deployment);
        }
        for loaded in &self.manifests.replica_sets {
            self.replica_set(loaded, objects, problems);
        }
        for loaded in &self.manifests.stateful_sets {
            let spec = loaded.object.spec.as_ref();
            let policy = spec.and_then(|spec| spec.pod_management_policy.as_deref());
            let made = taken(workload::stateful_set(&loaded.object, &self.priorities), loaded, problems);
            if let Some(made) = few_enough(made, (loaded, "replicas"), objects, problems) {
                let claims = made.claim_templates.iter().map(claim_template).collect();
                let kind = WorkloadKind::StatefulSet { ordered: policy != Some("Parallel"), claims };
                self.put(objects, Some(made), "StatefulSet", kind);
            }
        }
        for loaded in &self.manifests.daemon_sets {
            if let Some(set) = taken(workload::daemon_set(&loaded.object, &self.priorities), loaded, problems)
            {
                let key =
                    WorkloadKey { kind: "DaemonSet".to_owned(), namespace: set.namespace, name: set.name };
                let spec = WorkloadSpec {
                    kind: WorkloadKind::DaemonSet,
                    replicas: 0,
                    pod: self.among_siblings(set.spec),
                    volume_claims: Vec::new(),
                    ephemeral_claims: Vec::new(),
                };
                objects.workloads.insert(key, spec);
            }
        }
        self.jobs(objects, problems);
        self.pods(objects, problems);
    }

    /// A ReplicaSet stands for itself, or for the Deployment that made it when that is not there.
    fn replica_set(
        &self,
        loaded: &Loaded<k8s_openapi::api::apps::v1::ReplicaSet>,
        objects: &mut Objects,
        problems: &mut Vec<Problem>,
    ) {
        let made = taken(workload::replica_set(&loaded.object, &self.priorities), loaded, problems);
        let Some(made) = made else { return };
        let key = WorkloadKey {
            kind: made.owner.kind.clone(),
            namespace: made.namespace.clone(),
            name: made.owner.name.clone(),
        };
        let is_deployment_there = self.manifests.deployments.iter().any(|deployment| {
            key_of(&deployment.object.metadata) == (key.namespace.clone(), key.name.clone())
        });
        if key.kind == "Deployment" && is_deployment_there {
            return;
        }
        // Of the ReplicaSets of a Deployment that is not there, the one with most pods is its present revision.
        let known = objects.workloads.get(&key).map(|known| known.replicas);
        if known.is_none_or(|known| known < u64::from(made.replicas)) {
            let kind = made.owner.kind.clone();
            let made = few_enough(Some(made), (loaded, "replicas"), objects, problems);
            self.put(objects, made, &kind, WorkloadKind::Deployment);
        }
    }

    fn jobs(&self, objects: &mut Objects, problems: &mut Vec<Problem>) {
        for loaded in &self.manifests.jobs {
            let (completions, run) = self.job_work(&loaded.object, loaded, problems);
            let made = workload::job(&loaded.object, &self.priorities);
            let made = few_enough(taken(made, loaded, problems), (loaded, "parallelism"), objects, problems);
            self.put(objects, made, "Job", WorkloadKind::Job { completions, run });
        }
        for loaded in &self.manifests.cron_jobs {
            let spec = &loaded.object.spec;
            let Some(schedule) = Schedule::parse(&spec.schedule) else {
                let root = At::Root;
                let at = root.key("spec");
                let expected = "a cron schedule with five fields, such as \"*/15 * * * *\"";
                let defect = Defect::new(&at.key("schedule"), format!("{:?}", spec.schedule), expected);
                problems.push(loaded.problem(defect));
                continue;
            };
            if spec.suspend == Some(true) {
                continue;
            }
            let job = batch::Job {
                metadata: loaded.object.metadata.clone(),
                spec: spec.job_template.spec.clone(),
                status: None,
            };
            let (completions, run) = self.job_work(&job, loaded, problems);
            let made = workload::job(&job, &self.priorities);
            let kind = WorkloadKind::CronJob { schedule, completions, run };
            let made = few_enough(taken(made, loaded, problems), (loaded, "parallelism"), objects, problems);
            self.put(objects, made, "CronJob", kind);
        }
    }

    /// How many pods of a Job have still to end well, and how long each runs.
    fn job_work<L>(
        &self,
        job: &batch::Job,
        loaded: &Loaded<L>,
        problems: &mut Vec<Problem>,
    ) -> (u64, Duration) {
        let spec = job.spec.clone().unwrap_or_default();
        let wanted = spec.completions.unwrap_or_else(|| spec.parallelism.unwrap_or(1));
        let done = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
        let left = u64::try_from(wanted.saturating_sub(done)).unwrap_or(0);
        let said =
            seconds_said(spec.template.metadata.as_ref()).or_else(|| seconds_said(Some(&job.metadata)));
        let Some(text) = said else { return (left, self.place.job_run) };
        let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds > 0);
        if seconds.is_none() {
            let root = At::Root;
            let (metadata, annotations) = ("metadata", "annotations");
            let at = root.key(metadata);
            let at = at.key(annotations);
            let defect =
                Defect::new(&at.key(RUN_SECONDS), format!("{text:?}"), "a number of seconds above zero");
            problems.push(loaded.problem(defect));
        }
        (left, seconds.map_or(self.place.job_run, Duration::from_secs))
    }

    fn pods(&self, objects: &mut Objects, problems: &mut Vec<Problem>) {
        for loaded in &self.manifests.pods {
            let Some(mut pod) = taken(convert::pod::pod(&loaded.object, &self.priorities), loaded, problems)
            else {
                continue;
            };
            pod.spec = self.among_siblings(pod.spec);
            if pod.created == Timestamp::EPOCH {
                pod.created = self.place.start;
            }
            objects.pods.push(pod);
        }
    }

    fn put(&self, objects: &mut Objects, made: Option<workload::Workload>, kind: &str, what: WorkloadKind) {
        let Some(made) = made else { return };
        let key = WorkloadKey {
            kind: kind.to_owned(),
            namespace: made.namespace.clone(),
            name: made.owner.name.clone(),
        };
        let shared = made.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        let spec = WorkloadSpec {
            kind: what,
            replicas: u64::from(made.replicas),
            pod: self.among_siblings(made.spec),
            volume_claims: shared.map(|claim| claim.claim_name.clone()).collect(),
            ephemeral_claims: made.volumes.iter().filter_map(ephemeral_claim).collect(),
        };
        objects.workloads.insert(key, spec);
    }
}

/// The workload, unless it and those before it want more pods than there can be. `field` of its spec says how many.
fn few_enough<L>(
    made: Option<workload::Workload>,
    (loaded, field): (&Loaded<L>, &str),
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) -> Option<workload::Workload> {
    let made = made?;
    let before = objects.pods_wanted;
    objects.pods_wanted = before.saturating_add(u64::from(made.replicas));
    if objects.pods_wanted <= PODS_MAX {
        return Some(made);
    }
    let found = format!("{} pods, with {before} of other workloads", made.replicas);
    let expected = format!("at most {PODS_MAX} pods together");
    problems.push(loaded.problem(Defect::new(&At::Root.key("spec").key(field), found, expected)));
    // Those that follow are judged by what they want themselves.
    objects.pods_wanted = before;
    None
}

fn claim_template(claim: &k8s::PersistentVolumeClaim) -> ClaimTemplate {
    let storage_class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
    ClaimTemplate { name: key_of(&claim.metadata).1, storage_class }
}

fn ephemeral_claim(volume: &k8s::Volume) -> Option<ClaimTemplate> {
    let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
    Some(ClaimTemplate { name: volume.name.clone(), storage_class: template.spec.storage_class_name.clone() })
}

fn seconds_said(metadata: Option<&ObjectMeta>) -> Option<String> {
    metadata?.annotations.as_ref()?.get(RUN_SECONDS).cloned()
}
