//! Provisioning: which nodes are launched for waiting pods, and which pods go where.

mod attachments;
mod changes;
mod conformance;
mod daemons;
mod default_spread;
mod existing;
mod labels;
mod leaving;
mod limits;
mod min_values;
mod packing;
mod pools;
mod prices;
mod reasons;
mod reservations;
mod spread;
mod successors;
mod together;
mod volumes;
mod wishes;
