//! What the scenario does to the world.

use whittle_core::model::time::Duration;

use super::World;
use super::machines::{PriceFactor, Shortage};
use crate::input::{Objects, WorkloadKey};
use crate::journal::EntryKind;
use crate::script::{InstanceFilter, Many, Step};
use crate::words::counted;

/// A ramp changes a workload at most so often: finer steps make no difference to nodes that take half a minute.
const RAMP_STEP_MIN: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn play(&mut self, step: Step) {
        match step {
            Step::Say(text) => self.say("", text),
            Step::Ramp { workload, to, over } => self.ramp(&workload, to, over),
            Step::Scale { workload, to } => self.scale(&workload, to),
            Step::Put(objects) => self.put_objects(*objects),
            Step::Delete(workload) => {
                self.say(&workload.to_string(), format!("{workload} is deleted"));
                self.delete_workload(&workload);
            }
            Step::Interrupt { filter, many } => self.interrupt(&filter, many),
            Step::Notice { kind, ahead, filter, many } => {
                for id in self.draw_machines(&filter, many) {
                    self.announce(&id, kind, ahead);
                }
            }
            Step::Shortage { filter, span } => {
                self.say("", format!("EC2 has no capacity for {filter}, for {span}"));
                self.shortages.push(Shortage { filter, until: self.now + span });
            }
            Step::Price { filter, parts_per_million } => {
                let percent = parts_per_million / 10_000;
                self.say("", format!("prices of {filter} are now {percent} % of what they were"));
                self.change_prices(PriceFactor { filter, parts_per_million });
            }
            Step::Policies(directory) => self.policies.push(directory),
            Step::DeleteNodes { filter, many } => {
                for id in self.draw_machines(&filter, many) {
                    self.delete_node(&id);
                }
            }
        }
    }

    fn say(&mut self, object: &str, text: String) {
        self.note(EntryKind::Scenario, None, object, text);
    }

    fn ramp(&mut self, workload: &WorkloadKey, to: u64, over: Duration) {
        let Some(from) = self.replicas(workload) else { return };
        let span = if over == Duration::ZERO { String::new() } else { format!(" over {over}") };
        self.say(
            &workload.to_string(),
            format!("{workload} goes from {from} to {}{span}", counted(to, "pod")),
        );
        let changes = from.abs_diff(to);
        let steps = changes.min(over.millis() / RAMP_STEP_MIN.millis()).max(1);
        for step in 1..=steps {
            let moved = changes * step / steps;
            let replicas = if to > from { from + moved } else { from - moved };
            let at = self.now + Duration::from_millis(over.millis() * step / steps);
            if at == self.now {
                self.scale(workload, replicas);
            } else {
                self.enter(at, Step::Scale { workload: workload.clone(), to: replicas });
            }
        }
    }

    fn interrupt(&mut self, filter: &InstanceFilter, many: Many) {
        let drawn = self.draw_machines(filter, many);
        let total = self.running_machines(filter).len() as u64;
        self.say("", format!("EC2 takes back {} of {}: {filter}", drawn.len(), counted(total, "instance")));
        for id in drawn {
            self.reclaim(&id);
        }
    }

    /// Instances of a filter by lot, in the order of their ids.
    fn draw_machines(&mut self, filter: &InstanceFilter, many: Many) -> Vec<String> {
        let mut ids = self.running_machines(filter);
        let count = many.of(ids.len());
        for position in 0..count {
            let left = (ids.len() - position) as u64;
            let drawn = usize::try_from(self.chances.scenario.below(left)).unwrap_or(0);
            ids.swap(position, position + drawn);
        }
        ids.truncate(count);
        ids.sort_unstable();
        ids
    }

    /// Objects of a manifest are there or have changed.
    fn put_objects(&mut self, objects: Objects) {
        self.storage_classes.extend(objects.storage_classes);
        for (name, labels) in objects.namespaces {
            self.namespaces.insert(name.clone(), labels.clone());
            self.outbox.push(whittle_core::event::Event::Namespace(name, labels));
        }
        for class in objects.node_classes.into_values() {
            self.say(&class.name, format!("EC2NodeClass {} is applied", class.name));
            self.put_class(class);
        }
        for pool in objects.node_pools.into_values() {
            self.say(&pool.name, format!("NodePool {} is applied", pool.name));
            self.put_pool(pool);
        }
        for (key, claim) in objects.volume_claims {
            self.put_volume_claim(key, claim);
        }
        for limits in objects.volume_limits {
            self.put_volume_limits(limits);
        }
        for (key, budget) in objects.budgets {
            self.put_budget(key, budget);
        }
        for (key, workload) in objects.workloads {
            self.say(&key.to_string(), format!("{key} is applied, {}", counted(workload.replicas, "pod")));
            self.put_workload(key, workload);
        }
        for pod in objects.pods {
            self.take_in_pod(pod);
        }
    }
}
