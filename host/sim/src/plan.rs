//! One decision for the manifests of a directory, without letting time pass: what would be launched, and which pods
//! would go where.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path as FilePath;

use serde::Serialize;
use whittle_api::manifest::File;
use whittle_control::controller::Controller;
use whittle_core::check::Violation;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Launch, LaunchOffering, Plan};
use whittle_core::why::Unplaced;

use crate::input::WorkloadKind;
use crate::problems::Problems;
use crate::record::text::table::{Align, table};
use crate::record::text::{head, remedy};
use crate::run::{Input, Options, controller, read, read_files, setup};
use crate::scenario::compile::Course;
use crate::words::counted;
use crate::world::World;

/// One decision: which nodes to launch and which pods go where.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// The AWS region.
    pub region: String,
    /// Whether nobody said which region it is, so that it is the default one.
    pub is_region_default: bool,
    /// The nodes to launch, in the plan's order.
    pub launches: Vec<PlannedNode>,
    /// Pods that are expected on nodes that exist or are on their way, by node.
    pub nominations: BTreeMap<String, Vec<String>>,
    /// Pods that kube-scheduler places on nodes that exist, by node.
    pub scheduled: BTreeMap<String, Vec<String>>,
    /// Pods for which there is no place, with every reason.
    pub unplaced: Vec<Unplaced>,
    /// What the launches cost together at the price of their cheapest offering.
    pub price: Price,
    /// Whether any of these prices is an estimate.
    pub estimated: bool,
    /// Rules that the plan breaks; empty for every plan that may be carried out.
    pub violations: Vec<Violation>,
    /// The plan itself.
    pub plan: Plan,
}

/// A node to launch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedNode {
    /// The NodeClaim's name.
    pub claim: String,
    /// The NodePool.
    pub node_pool: String,
    /// The cheapest of the offerings that EC2 may choose from.
    pub cheapest: LaunchOffering,
    /// Whether its price is an estimate.
    pub estimated: bool,
    /// How many offerings EC2 may choose from.
    pub offerings: usize,
    /// How many instance types these are.
    pub instance_types: usize,
    /// `namespace/name` of the pods that it is made for.
    pub pods: Vec<String>,
}

/// A loop that is alone with a batch of pods closes it after a few looks; more than this is none.
const LOOKS_MAX: usize = 16;

/// Decides once for the manifests in a directory. A scenario beside them says the region, prices and zones; what it
/// lets happen is left out.
///
/// # Errors
///
/// Everything that is wrong with the files, at once.
pub fn plan(dir: &FilePath, options: &Options) -> Result<PlanReport, Problems> {
    Ok(decided(read(dir, options)?, options))
}

/// Decides once for a directory that is nowhere on a disk, as [`simulate_files`](crate::run::simulate_files) reads it.
///
/// # Errors
///
/// Everything that is wrong with the files, at once.
pub fn plan_files(files: Vec<File>, options: &Options) -> Result<PlanReport, Problems> {
    Ok(decided(read_files(files, options)?, options))
}

/// A loop that has heard of everything in a directory and has not decided anything yet.
#[derive(Debug)]
pub struct Undecided {
    /// The loop.
    pub controller: Controller,
    /// The time at which the directory stands.
    pub now: Timestamp,
    world: World,
}

impl Undecided {
    /// The uid of a pod; `None`: there is none of this name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&str> {
        self.world.pod_named(namespace, name).map(|pod| pod.uid.as_str())
    }
}

/// A loop for the manifests in a directory, for whoever has a question to it.
///
/// # Errors
///
/// Everything that is wrong with the files, at once.
pub fn undecided(dir: &FilePath, options: &Options) -> Result<Undecided, Problems> {
    Ok(heard(read(dir, options)?, options).0)
}

fn heard(mut input: Input, options: &Options) -> (Undecided, Course) {
    for workload in input.objects.workloads.values_mut() {
        // No time passes in which one pod after the other could become ready, and all of them are to have a place.
        if let WorkloadKind::StatefulSet { ordered, .. } = &mut workload.kind {
            *ordered = false;
        }
    }
    let mut world = World::new(setup(&input.course), input.objects);
    let mut controller = controller(&input.course, options);
    let now = input.course.start;
    for event in world.take_events() {
        controller.handle(event, now);
    }
    (Undecided { controller, now, world }, input.course)
}

fn decided(input: Input, options: &Options) -> PlanReport {
    let (Undecided { mut controller, now, world }, course) = heard(input, options);
    let plan = first_plan(&mut controller, now);
    report(plan, &world, &course)
}

/// The first plan that does something, or the last that does not.
fn first_plan(controller: &mut Controller, start: Timestamp) -> Plan {
    let mut now = start;
    let mut plan = Plan::default();
    for _ in 0..LOOKS_MAX {
        let Some(wake) = controller.next_wake() else { break };
        now = now.max(wake);
        plan = controller.decide(now);
        let places = |action: &Action| matches!(action, Action::Launch(_) | Action::Nominate(_));
        if plan.actions.iter().any(places) || !plan.report.unplaced.is_empty() {
            break;
        }
    }
    plan
}

fn report(plan: Plan, world: &World, course: &Course) -> PlanReport {
    let name = |uid: &String| world.pod_by_uid(uid).map_or_else(|| uid.clone(), |pod| pod.full_name());
    let mut launches = Vec::new();
    let mut nominations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => {
                let pods = launch.pods.iter().map(name).collect();
                launches.extend(planned(launch, pods, world));
            }
            Action::Nominate(nomination) => {
                nominations.entry(nomination.node.clone()).or_default().push(name(&nomination.pod));
            }
            _ => {}
        }
    }
    PlanReport {
        region: course.place.region.clone(),
        is_region_default: course.is_region_default,
        nominations,
        scheduled: world.newly_bound(),
        unplaced: plan.report.unplaced.clone(),
        price: launches.iter().map(|launch| launch.cheapest.price).sum(),
        estimated: launches.iter().any(|launch| launch.estimated),
        launches,
        violations: plan.report.violations.clone(),
        plan,
    }
}

fn planned(launch: &Launch, pods: Vec<String>, world: &World) -> Option<PlannedNode> {
    let cheapest = launch.offerings.first()?.clone();
    let mut types: Vec<&str> = launch.offerings.iter().map(|one| one.instance_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    Some(PlannedNode {
        claim: launch.claim.clone(),
        node_pool: launch.node_pool.clone(),
        estimated: world.is_offering_estimated(&launch.node_class, &cheapest),
        offerings: launch.offerings.len(),
        instance_types: types.len(),
        cheapest,
        pods,
    })
}

/// A report as text for a terminal.
#[must_use]
pub fn text(report: &PlanReport) -> String {
    let mut text = head(&report.region, report.is_region_default);
    let mark = |estimated: bool| if estimated { "~" } else { "" };
    let columns = ["LAUNCH", "NODEPOOL", "CHEAPEST", "ZONE", "BOUGHT", "PRICE/H", "TYPES", "PODS"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    for launch in &report.launches {
        let LaunchOffering { instance_type, zone, capacity_type, price, .. } = &launch.cheapest;
        let capacity_type: CapacityType = *capacity_type;
        rows.push(vec![
            launch.claim.clone(),
            launch.node_pool.clone(),
            instance_type.clone(),
            zone.clone(),
            capacity_type.to_string(),
            format!("{}{price}", mark(launch.estimated)),
            launch.instance_types.to_string(),
            launch.pods.len().to_string(),
        ]);
    }
    let (left, right) = (Align::Left, Align::Right);
    if report.launches.is_empty() {
        text.push_str("Nothing to launch.\n");
    } else {
        text.push_str(&table(&rows, &[left, left, left, left, left, right, right, right]));
        let _ = writeln!(
            text,
            "\n{}, {}{}/h at the cheapest",
            counted(report.launches.len() as u64, "node"),
            mark(report.estimated),
            report.price
        );
    }
    let places = report.launches.iter().map(|launch| (&launch.claim, &launch.pods));
    for (node, pods) in places.chain(&report.nominations).chain(&report.scheduled) {
        let _ = write!(text, "\n{node}\n{}", listed(pods));
    }
    for (position, unplaced) in report.unplaced.iter().enumerate() {
        if position == 0 {
            text.push_str("\nPods without a place\n");
        }
        let _ = writeln!(text, "  {unplaced}");
        text.push_str(&remedy(unplaced));
    }
    for violation in &report.violations {
        let _ = writeln!(text, "\nLeft out of the plan, because it breaks a rule: {violation}");
    }
    if report.estimated {
        text.push_str("\n~ contains estimated prices\n");
    }
    text
}

fn listed(pods: &[String]) -> String {
    let mut pods: Vec<&String> = pods.iter().collect();
    pods.sort();
    pods.iter().map(|pod| format!("  {pod}\n")).collect()
}
