//! The interruption queue: polled for as long as this process leads. Messages are handled together and deleted when what
//! they ask for is under way.
//!
//! A message stays in the queue until the loop has done what it can about it, so one whose reader died is read again by
//! the next. What cannot be understood is said, counted and deleted: it would be read for ever.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::sleep;
use whittle_control::ports::news::InstanceNotice;
use whittle_core::model::time::Timestamp;

use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::message::read;

/// An empty queue is listened to for so long, in seconds; the longest that SQS allows.
const WAIT: i32 = 20;
/// A message that was read is shown to nobody else for so long, in seconds (Karpenter).
const HIDDEN: i32 = 20;
/// SQS gives and takes so many messages at a time.
const AT_ONCE: usize = 10;
/// A queue with more than that is read by so many at a time (Karpenter: 10 workers).
const READERS: usize = 10;
/// After a failure it is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// Who listens.
pub trait Ear: Send + Sync + 'static {
    /// Hears what will happen to instances. The answer comes when there is nothing more to do about it.
    fn hear(&self, notices: Vec<InstanceNotice>) -> impl Future<Output = ()> + Send;

    /// A message of this kind was read that had waited so long.
    fn received(&self, kind: &str, waited: Duration);

    /// So many messages were deleted.
    fn deleted(&self, messages: usize);
}

/// The kind of a message that is none.
const GARBAGE: &str = "unknown";

/// A queue.
#[derive(Debug)]
pub struct Queue {
    clients: Clients,
    name: String,
    clock: fn() -> Timestamp,
    /// Messages that are being handled: the receipt with which each is deleted. It changes when a message is read again.
    open: Mutex<HashMap<String, String>>,
}

impl Queue {
    /// The queue with this name, or with this URL.
    #[must_use]
    pub fn new(clients: &Clients, name: &str, clock: fn() -> Timestamp) -> Arc<Self> {
        Arc::new(Self { clients: clients.clone(), name: name.to_owned(), clock, open: Mutex::default() })
    }

    /// Reads the queue for as long as it is polled. A queue that is not there is waited for.
    pub async fn listen(self: Arc<Self>, ear: Arc<impl Ear>) {
        let (done, ended) = mpsc::unbounded_channel();
        let deleting = Arc::clone(&self);
        let heard = Arc::clone(&ear);
        // Ends with this future: it owns the task.
        let _deleter = Owned(tokio::spawn(async move { deleting.delete_all(ended, &*heard).await }));
        let mut url = None;
        loop {
            let at = match &url {
                Some(at) => at,
                None => match self.find().await {
                    Ok(found) => url.insert(found),
                    Err(failure) => {
                        tracing::error!(queue = self.name, "the interruption queue is not read: {failure}");
                        sleep(AGAIN).await;
                        continue;
                    }
                },
            };
            match self.receive(at).await {
                Ok(messages) => messages.into_iter().for_each(|one| self.take(one, &ear, &done, at)),
                Err(failure) => {
                    tracing::error!(queue = self.name, "the interruption queue is not read: {failure}");
                    url = None;
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn find(&self) -> Result<String, Failure> {
        if self.name.contains("://") {
            return Ok(self.name.clone());
        }
        let answer = self.clients.sqs.get_queue_url().queue_name(&self.name).send().await;
        let answer = answer.map_err(|error| Failure::of("sqs:GetQueueUrl", &error))?;
        Ok(answer.queue_url.unwrap_or_default())
    }

    /// What is in the queue: of a full one as much as several readers get at once.
    async fn receive(&self, url: &str) -> Result<Vec<Message>, Failure> {
        let mut messages = self.receive_once(url, WAIT).await?;
        if messages.len() >= AT_ONCE {
            let others = (1..READERS).map(|_| self.receive_once(url, 0));
            for more in join_all(others).await {
                match more {
                    Ok(more) => messages.extend(more),
                    // What the others have read is hidden from everybody else by now.
                    Err(failure) => tracing::warn!("part of the interruption queue is not read: {failure}"),
                }
            }
        }
        Ok(messages)
    }

    async fn receive_once(&self, url: &str, wait: i32) -> Result<Vec<Message>, Failure> {
        let answer = self
            .clients
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(wait)
            .visibility_timeout(HIDDEN)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await;
        let answer = answer.map_err(|error| Failure::of("sqs:ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    fn take(
        self: &Arc<Self>,
        message: Message,
        ear: &Arc<impl Ear>,
        done: &mpsc::UnboundedSender<(String, String)>,
        url: &str,
    ) {
        let now = (self.clock)();
        let waited = waited(&message, now);
        let id = message.message_id.unwrap_or_default();
        let is_new =
            self.open(|open| open.insert(id.clone(), message.receipt_handle.unwrap_or_default())).is_none();
        if !is_new {
            // It was read before and is still being handled.
            return;
        }
        let notices = match read(message.body.as_deref().unwrap_or_default()) {
            Ok(said) => {
                ear.received(said.kind, waited);
                said.notices(now)
            }
            Err(problem) => {
                tracing::warn!(message = id, "a message of the interruption queue is deleted: {problem}");
                ear.received(GARBAGE, waited);
                Vec::new()
            }
        };
        let ended = (id, url.to_owned());
        if notices.is_empty() {
            drop(done.send(ended));
            return;
        }
        let (ear, done) = (Arc::clone(ear), done.clone());
        tokio::spawn(async move {
            ear.hear(notices).await;
            // Nobody deletes any more only at the very end; it is read again then.
            drop(done.send(ended));
        });
    }

    async fn delete_all(&self, mut ended: mpsc::UnboundedReceiver<(String, String)>, ear: &impl Ear) {
        let mut batch = Vec::new();
        while ended.recv_many(&mut batch, AT_ONCE * READERS).await > 0 {
            let parts = batch.chunks(AT_ONCE).map(|part| self.delete(part));
            for result in join_all(parts).await {
                match result {
                    Ok(deleted) => ear.deleted(deleted),
                    // They are shown again, and handled again.
                    Err(failure) => tracing::warn!("messages of the interruption queue stay: {failure}"),
                }
            }
            batch.clear();
        }
    }

    async fn delete(&self, ended: &[(String, String)]) -> Result<usize, Failure> {
        let Some((_, url)) = ended.first() else { return Ok(0) };
        let receipts = ended.iter().enumerate().filter_map(|(at, (id, _))| {
            let receipt = self.open(|open| open.remove(id))?;
            DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(receipt).build().ok()
        });
        let entries: Vec<_> = receipts.collect();
        let request = self.clients.sqs.delete_message_batch().queue_url(url).set_entries(Some(entries));
        match request.send().await {
            Ok(answer) => {
                for failed in &answer.failed {
                    let message = failed.message.as_deref().unwrap_or_default();
                    let code = &failed.code;
                    // It is shown again, and handled again.
                    tracing::warn!(code, "a message of the interruption queue stays: {message}");
                }
                Ok(answer.successful.len())
            }
            Err(error) => {
                let failure = Failure::of("sqs:DeleteMessage", &error);
                // A queue that is gone has no messages.
                if failure.reaction() == Reaction::Missing { Ok(0) } else { Err(failure) }
            }
        }
    }

    fn open<T>(&self, look: impl FnOnce(&mut HashMap<String, String>) -> T) -> T {
        look(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long a message has been in the queue.
fn waited(message: &Message, now: Timestamp) -> Duration {
    let sent = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    let sent = sent.and_then(|text| text.parse().ok()).map(Timestamp::from_millis);
    Duration::from_millis(sent.map_or(0, |sent| now.since(sent).millis()))
}

/// A task that ends with its owner.
struct Owned(tokio::task::JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
