//! From a new node in the making to a launch.

use crate::model::fingerprint::MadeFrom;
use crate::model::resources::Resources;
use crate::plan::Launch;
use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::Draft;
use crate::provision::listing::Printed;
use crate::provision::problem::Problem;
use crate::provision::template::Template;

impl Problem<'_> {
    /// The launch of a new node.
    pub(crate) fn launch(&mut self, draft: &Draft, claim: String, pods: Vec<String>) -> Launch {
        let template = &self.templates[draft.template];
        let universe = &self.universes[template.universe];
        let listed = draft.listed(universe);
        let words = (&**universe, &*self.interner);
        let Printed { listing, labels, offerings, requirements } =
            self.listings.print(draft.template, template, &listed, words);
        let pool = &template.pool;
        Launch {
            claim,
            node_pool: pool.name.clone(),
            node_class: pool.node_class.clone(),
            labels,
            taints: pool.taints.clone(),
            startup_taints: pool.startup_taints.clone(),
            requirements,
            min_values_relaxed: !listing.lowered.is_empty(),
            offerings,
            requests: self.requests_of(template, draft, &listing.types),
            pods,
            expire_after: pool.expire_after,
            termination_grace_period: pool.termination_grace_period,
            replaces: Vec::new(),
            made_from: MadeFrom::default(),
        }
    }

    /// What the node's pods will ask for, with the least that DaemonSets take on any of the listed types.
    fn requests_of(&self, template: &Template, draft: &Draft, types: &Bits) -> Resources {
        let overheads = template.overheads.iter().filter(|overhead| overhead.types.intersects(types));
        let least = overheads.map(|overhead| overhead.requests.clone()).min().unwrap_or_default();
        let mut requests = draft.requests.clone();
        amounts::add(&mut requests, &least);
        self.axes.resources(&requests)
    }
}
