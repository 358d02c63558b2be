//! Requests that arrive within a moment of one another, made together.
//!
//! What "together" means, and what becomes of each, is said by who answers; here is only the waiting. Times are
//! Karpenter's.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How long requests are gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Until none has come for so long.
    pub(crate) idle: Duration,
    /// But no longer than this.
    pub(crate) max: Duration,
    /// And no more than so many.
    pub(crate) items: usize,
}

type Answering<O> = Pin<Box<dyn Future<Output = Vec<O>> + Send>>;
type Answer<K, I, O> = Arc<dyn Fn(K, Vec<I>) -> Answering<O> + Send + Sync>;
type Waiting<I, O> = (I, oneshot::Sender<O>);
type Open<K, I, O> = Arc<Mutex<HashMap<K, mpsc::UnboundedSender<Waiting<I, O>>>>>;

/// Gathers requests by what they have in common, and has them answered together.
pub(crate) struct Batcher<K, I, O> {
    window: Window,
    open: Open<K, I, O>,
    answer: Answer<K, I, O>,
}

impl<K, I, O> Batcher<K, I, O>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
{
    /// `answer` gives one answer for each item, in their order.
    pub(crate) fn new<F>(window: Window, answer: impl Fn(K, Vec<I>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        Self {
            window,
            open: Arc::default(),
            answer: Arc::new(move |key, items| Box::pin(answer(key, items))),
        }
    }

    /// Waits for others like it, and for the answer. `None` when whoever answers has ended without one.
    pub(crate) async fn ask(&self, key: K, item: I) -> Option<O> {
        let (sender, receiver) = oneshot::channel();
        self.put(key, (item, sender));
        receiver.await.ok()
    }

    fn put(&self, key: K, waiting: Waiting<I, O>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = match open.get(&key) {
            Some(gathering) => match gathering.send(waiting) {
                Ok(()) => return,
                Err(closed) => closed.0,
            },
            None => waiting,
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        // It has a receiver, two lines above.
        drop(sender.send(waiting));
        open.insert(key.clone(), sender);
        tokio::spawn(gather(key, self.window, receiver, (Arc::clone(&self.open), Arc::clone(&self.answer))));
    }
}

type Shared<K, I, O> = (Open<K, I, O>, Answer<K, I, O>);

async fn gather<K, I, O>(
    key: K,
    window: Window,
    mut arriving: mpsc::UnboundedReceiver<Waiting<I, O>>,
    (open, answer): Shared<K, I, O>,
) where
    K: Clone + Eq + Hash,
{
    let mut gathered = Vec::new();
    let end = Instant::now() + window.max;
    while gathered.len() < window.items {
        let idle = (Instant::now() + window.idle).min(end);
        tokio::select! {
            biased;
            one = arriving.recv() => match one {
                Some(one) => gathered.push(one),
                None => break,
            },
            () = sleep_until(idle) => break,
        }
    }
    // Nobody sends any more once the lock is held and the sender is out of the map.
    {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&key);
        arriving.close();
        while let Ok(one) = arriving.try_recv() {
            gathered.push(one);
        }
    }
    let (items, senders): (Vec<I>, Vec<oneshot::Sender<O>>) = gathered.into_iter().unzip();
    for (sender, output) in senders.into_iter().zip(answer(key, items).await) {
        // Who has stopped waiting needs no answer.
        drop(sender.send(output));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrives_together_is_answered_together_and_by_key() {
        let window = Window { idle: Duration::from_millis(35), max: Duration::from_secs(1), items: 100 };
        let batcher = Batcher::new(window, |key: &'static str, items: Vec<u32>| async move {
            let together = items.len();
            items.into_iter().map(|item| (key, item, together)).collect()
        });
        // All are asked before the first of them waits.
        let asks = [("a", 1), ("b", 2), ("a", 3), ("a", 4)].map(|(key, item)| batcher.ask(key, item));
        let answers: Vec<_> = futures::future::join_all(asks).await.into_iter().flatten().collect();
        assert_eq!(answers, [("a", 1, 3), ("b", 2, 1), ("a", 3, 3), ("a", 4, 3)]);
        assert_eq!(batcher.ask("a", 5).await, Some(("a", 5, 1)));
    }

    #[tokio::test]
    async fn no_more_are_answered_together_than_fit() {
        let window = Window { idle: Duration::from_secs(60), max: Duration::from_secs(60), items: 2 };
        let batcher = Batcher::new(window, |(), items: Vec<u32>| async move { items });
        let answers = futures::future::join_all([batcher.ask((), 1), batcher.ask((), 2)]).await;
        assert_eq!(answers, [Some(1), Some(2)]);
    }
}
