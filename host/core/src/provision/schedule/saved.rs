//! States of a schedule to go back to, so that two plans can be made from one beginning.
//!
//! What is known of the cluster, and what is only remembered to be faster, is not among it.

use std::mem::swap;

use crate::model::pod::HostPort;
use crate::provision::amounts::Amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::Draft;
use crate::provision::order::Order;
use crate::provision::problem::Problem;
use crate::provision::reservations::Reservations;
use crate::provision::schedule::Schedule;
use crate::provision::schedule::looks::Looks;
use crate::provision::template::Room;
use crate::provision::topology::Rule;
use crate::provision::universe::STANDARD_AXES;
use crate::provision::volumes::VolumeRoom;

/// What is changed while pods are placed.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Of each existing node what is free, the host ports taken, and what it can still attach.
    loads: Vec<(Amounts, Vec<HostPort>, VolumeRoom)>,
    rules: Vec<Rule>,
    limits: Vec<Room>,
    reservations: Reservations,
    drafts: Vec<Draft>,
    order: Order,
    rooms: Vec<[u64; STANDARD_AXES]>,
    by_template: Vec<Bits>,
    looks: Looks,
}

impl Schedule<'_, '_> {
    /// What is changed while pods are placed, to go back to.
    pub(crate) fn save(&self) -> Saved {
        let Problem { existing, rules, templates, .. } = &*self.problem;
        Saved {
            loads: existing
                .iter()
                .map(|node| (node.free.clone(), node.host_ports.clone(), node.volumes.clone()))
                .collect(),
            rules: rules.clone(),
            limits: templates.iter().map(|template| template.room.clone()).collect(),
            reservations: self.problem.reservations.clone(),
            drafts: self.drafts.clone(),
            order: self.order.clone(),
            rooms: self.rooms.clone(),
            by_template: self.by_template.clone(),
            looks: self.looks.clone(),
        }
    }

    /// Goes to another state of this schedule and leaves it where it was.
    pub(crate) fn swap(&mut self, mut other: Saved) -> Saved {
        let Problem { existing, rules, templates, .. } = &mut *self.problem;
        for (node, (free, host_ports, volumes)) in existing.iter_mut().zip(&mut other.loads) {
            swap(&mut node.free, free);
            swap(&mut node.host_ports, host_ports);
            swap(&mut node.volumes, volumes);
        }
        swap(rules, &mut other.rules);
        for (template, room) in templates.iter_mut().zip(&mut other.limits) {
            swap(&mut template.room, room);
        }
        swap(&mut self.problem.reservations, &mut other.reservations);
        swap(&mut self.drafts, &mut other.drafts);
        swap(&mut self.order, &mut other.order);
        swap(&mut self.rooms, &mut other.rooms);
        swap(&mut self.by_template, &mut other.by_template);
        swap(&mut self.looks, &mut other.looks);
        other
    }
}
