//! The line on which a cloud says by itself what will happen to instances, and is told when that was seen to.

use tokio::sync::{mpsc, oneshot};
use whittle_control::ports::news::{InstanceDrift, InstanceNotice};

/// Something that a cloud says.
#[derive(Debug)]
pub struct Word {
    /// What will happen to instances.
    pub(crate) notices: Vec<InstanceNotice>,
    /// Which instances are not what their class selects.
    pub(crate) drifts: Vec<InstanceDrift>,
    /// Told when there is nothing more to do about it.
    pub(crate) settled: Option<oneshot::Sender<()>>,
}

/// The cloud's end of the line.
#[derive(Clone, Debug)]
pub struct Mouth(mpsc::UnboundedSender<Word>);

/// Both ends of a line.
#[must_use]
pub fn line() -> (Mouth, mpsc::UnboundedReceiver<Word>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Mouth(sender), receiver)
}

impl Mouth {
    /// Says what will happen to instances, and waits until there is nothing more to do about it: their NodeClaims are
    /// being deleted, or there are none.
    pub async fn notices(&self, notices: Vec<InstanceNotice>) {
        let (settled, is_settled) = oneshot::channel();
        let word = Word { notices, drifts: Vec::new(), settled: Some(settled) };
        // Nobody listens any more only at the very end: then nothing was seen to, and nobody waits for it.
        if self.0.send(word).is_err() || is_settled.await.is_err() {
            std::future::pending().await
        }
    }

    /// Says which instances are not what their class selects, and which will be ended. It is said again as long as it is so.
    pub fn looked(&self, drifts: Vec<InstanceDrift>, notices: Vec<InstanceNotice>) {
        drop(self.0.send(Word { notices, drifts, settled: None }));
    }
}
