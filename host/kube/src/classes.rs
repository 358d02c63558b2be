//! The loop that keeps EC2NodeClasses resolved: what somebody who knows the account finds for them is written into their
//! status, at once when they are changed and again every while; and what was made for them is taken away at their end.
//!
//! What is found is said by [`Resolve`]. One task turns a class at a time, many classes at once; while another process
//! leads, nothing is asked and nothing written.

mod agenda;
pub(crate) mod fingerprint;
mod status;
mod turn;

use std::future::Future;
use std::sync::Arc;

use kube_client::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::Resolved;

use self::agenda::Agenda;
use self::turn::Turned;
use crate::cluster::clock;
use crate::lease::Role;
use crate::tell::Teller;
use crate::watch::{self as watches, Change, Object};

/// So many changes of classes wait for the loop.
const WAITING_MAX: usize = 64;

/// Who knows the account.
pub trait Resolve: Send + Sync + 'static {
    /// Looks for what the class selects. What cannot be found out is said, too.
    fn resolve(&self, class: &Ec2NodeClass) -> impl Future<Output = Resolved> + Send;

    /// Takes away what was made for the class, which nobody uses any more. Can be done twice. The error says what stays.
    fn release(&self, class: &Ec2NodeClass) -> impl Future<Output = Result<(), String>> + Send;

    /// The class is gone.
    fn forget(&self, name: &str);
}

/// Keeps classes resolved for as long as this process may lead. `identity` is the process, for Events.
pub async fn keep<R: Resolve>(
    client: Client,
    resolver: Arc<R>,
    mut role: watch::Receiver<Role>,
    identity: String,
) {
    let (sender, mut changes) = mpsc::channel(WAITING_MAX);
    let mut watching = JoinSet::new();
    watching.spawn(watches::follow::<Ec2NodeClass>(client.clone(), sender));
    let mut teller = Teller::start(client.clone(), identity);
    let mut agenda = Agenda::default();
    let mut turns: JoinSet<Turned> = JoinSet::new();
    loop {
        let leads = *role.borrow_and_update() == Role::Leader;
        if leads {
            for class in agenda.take_due(Instant::now()) {
                turns.spawn(turn::turn(client.clone(), Arc::clone(&resolver), class));
            }
        }
        let wake = agenda.next().filter(|_| leads);
        tokio::select! {
            changed = role.changed() => if changed.is_err() { return },
            change = changes.recv() => match change {
                Some(change) => take(change, &mut agenda, resolver.as_ref()),
                None => return,
            },
            Some(turned) = turns.join_next(), if !turns.is_empty() => match turned {
                Ok(turned) => {
                    agenda.turned(&turned.name, turned.again, Instant::now());
                    teller.tell(turned.told, clock());
                }
                // The class stays marked as being turned: a panic is not repeated until the class is changed.
                Err(error) => tracing::error!("the turn of an EC2NodeClass ended badly: {error}"),
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

/// What is wrong with an object or with the watch is told by those who watch for the driver.
fn take<R: Resolve>(change: Change, agenda: &mut Agenda, resolver: &R) {
    match change {
        Change::Seen(Object::Ec2NodeClass(class)) => agenda.see(*class, Instant::now()),
        Change::Gone(_, id) => {
            agenda.lose(&id.name);
            resolver.forget(&id.name);
        }
        Change::Seen(_) | Change::Complete(_) | Change::Bad { .. } | Change::Trouble(..) => {}
    }
}
