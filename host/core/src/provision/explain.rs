//! Why a pod has no place: for each NodePool the first rule that excludes it, found by trying.

use crate::model::requirement::untolerated;
use crate::model::resources::PODS;
use crate::provision::amounts;
use crate::provision::draft::{Refused, collide};
use crate::provision::problem::{Demand, Problem};
use crate::provision::requirements;
use crate::provision::template::{NOT_OFFERED, Template};
use crate::why::{Lacking, NodePoolWhy, Why};

impl Problem<'_> {
    /// Why no NodePool will have a new node for the pods of a group, in the order in which they are tried.
    pub(crate) fn explain(&mut self, demand: usize, place: usize) -> Vec<NodePoolWhy> {
        let demand = self.demands[demand].clone();
        let mut reasons = Vec::new();
        for at in 0..self.templates.len() {
            if let Err(refused) = self.open(at, &demand, place) {
                let why = self.why(at, &demand, refused);
                let node_pool = self.templates[at].pool.name.clone();
                reasons.push(NodePoolWhy { node_pool, why });
            }
        }
        reasons.extend(self.closed.iter().cloned());
        reasons
    }

    fn why(&mut self, template: usize, demand: &Demand, refused: Refused) -> Why {
        let at = template;
        let template = &self.templates[at];
        match refused {
            Refused::Taint => {
                let taint = untolerated(&template.pool.taints, &demand.group.spec.tolerations);
                taint.map_or(Why::HostPort, |taint| Why::Taint { taint: taint.clone() })
            }
            Refused::HostPort => Why::HostPort,
            Refused::Labels => self.why_labels(at, demand),
            Refused::InstanceTypes => self.why_types(template, demand),
            Refused::MinValues { key, wanted, left } => {
                Why::MinValues { key: self.interner.text(key).to_owned(), wanted, left }
            }
            Refused::Limit => self.why_limit(template, demand),
            Refused::Reserved => Why::Reserved,
            Refused::Topology { rule } => {
                let what = &self.rules[rule].what;
                Why::Topology { rule: what.rule, key: what.key.clone() }
            }
        }
    }

    fn why_labels(&mut self, template: usize, demand: &Demand) -> Why {
        let mut terms = demand.group.spec.node_affinity.clone();
        if terms.is_empty() {
            terms.push(Vec::new());
        }
        let mut first = None;
        for term in &terms {
            let wanted = requirements::collect(term, self.interner);
            let template = &self.templates[template];
            let universe = &self.universes[template.universe];
            match template.shape.and(&wanted, universe, self.interner) {
                Err(why) => first = first.or(Some(*why)),
                // Without its volumes the pod would find a node: it is the volumes.
                Ok(_) => return why_volumes(demand),
            }
        }
        first.unwrap_or_else(|| why_volumes(demand))
    }

    /// What the types lack that are left when labels and taints have been looked at.
    fn why_types(&self, template: &Template, demand: &Demand) -> Why {
        let universe = &self.universes[template.universe];
        let mut types = template.shape.types.clone();
        let Some(alternative) = demand.alternatives.first() else { return Why::HostPort };
        let mask = &alternative.masks[template.universe];
        types.intersect(&mask.types);
        let ports = &demand.group.spec.host_ports;
        let (colliding, others): (Vec<_>, Vec<_>) =
            template.overheads.iter().partition(|overhead| collide(ports, &overhead.host_ports));
        colliding.iter().for_each(|overhead| types.subtract(&overhead.types));
        if types.is_empty() && !colliding.is_empty() {
            return Why::HostPort;
        }
        let least = others.iter().map(|overhead| overhead.requests.clone()).min();
        let mut wanted = least.unwrap_or_default();
        amounts::add(&mut wanted, &demand.requests);
        let counted = universe.lacking(&types, &wanted).into_iter().map(|(axis, count)| {
            let name = self.axes.name(axis);
            let what = if name == PODS { "room for one more pod" } else { name };
            Lacking { what: what.to_owned(), instance_types: u32::try_from(count).unwrap_or(u32::MAX) }
        });
        let mut lacking: Vec<_> = counted.collect();
        let mut offered = types.clone();
        let zones = template.shape.zones & mask.zones;
        universe.keep_offered(&mut offered, zones, template.shape.capacity_types & mask.capacity_types);
        let not_offered = types.count() - offered.count();
        if not_offered > 0 {
            let what = NOT_OFFERED.to_owned();
            lacking.push(Lacking { what, instance_types: u32::try_from(not_offered).unwrap_or(u32::MAX) });
        }
        Why::InstanceTypes { considered: u32::try_from(types.count()).unwrap_or(u32::MAX), lacking }
    }

    /// The limit of which the least is left, relative to what the smallest type that would do needs.
    fn why_limit(&self, template: &Template, demand: &Demand) -> Why {
        let pool = &template.pool;
        if let Some(limit) = pool.limits.get(crate::model::node_pool::NODES)
            && template.room.nodes == Some(0)
        {
            return Why::Limit { resource: "nodes".into(), limit: *limit, used: *limit, needed: 1 };
        }
        let universe = &self.universes[template.universe];
        let mut types = universe.fitting(&demand.requests);
        types.intersect(&template.shape.types);
        let breaks_all =
            |axis: usize, left: u64| types.iter().all(|at| amounts::at(&universe.capacity[at], axis) > left);
        let limited = template.room.amounts.iter().enumerate();
        let mut limited: Vec<_> = limited.filter_map(|(axis, left)| Some((axis, (*left)?))).collect();
        limited.sort_by_key(|(axis, left)| !breaks_all(*axis, *left));
        let Some((axis, left)) = limited.first() else { return Why::FixedReplicas };
        let resource = self.axes.name(*axis).to_owned();
        let limit = pool.limits.get(&resource).copied().unwrap_or(0);
        let needed = types.iter().map(|at| amounts::at(&universe.capacity[at], *axis)).min().unwrap_or(0);
        Why::Limit { resource, limit, used: limit.saturating_sub(*left), needed }
    }
}

fn why_volumes(demand: &Demand) -> Why {
    let alternatives = demand.group.volumes.iter().flatten().flatten();
    let texts: Vec<_> = alternatives.map(ToString::to_string).collect();
    Why::Volume { message: format!("the pod's volumes can only be where {}", texts.join(" or ")) }
}
