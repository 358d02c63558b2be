//! What is asked of the cloud, and what it says by itself.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::listed::Shelf;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    service: String,
    operation: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Message {
    message_type: String,
}

/// These metrics.
#[derive(Debug)]
pub struct Clouds {
    requests: Family<Request, Counter>,
    received: Family<Message, Counter>,
    deleted: Counter,
    waited: Histogram,
}

impl Clouds {
    pub(super) fn new() -> Self {
        Self {
            requests: Family::default(),
            received: Family::default(),
            deleted: Counter::default(),
            // From a hundredth of a second to some 80 seconds.
            waited: Histogram::new(exponential_buckets(0.01, 2.0, 14)),
        }
    }

    pub(super) fn list_karpenters(&self, shelf: &mut Shelf<'_>) {
        shelf.add(
            "interruption_received_messages",
            "Messages of the interruption queue, by what they say",
            self.received.clone(),
        );
        shelf.add(
            "interruption_deleted_messages",
            "Messages of the interruption queue that were seen to",
            self.deleted.clone(),
        );
        shelf.add(
            "interruption_message_queue_duration_seconds",
            "How long messages had been in the interruption queue when they were read",
            self.waited.clone(),
        );
    }

    pub(super) fn list_ours(&self, shelf: &mut Shelf<'_>) {
        shelf.add(
            "aws_requests",
            "Requests to AWS, every attempt of its own; status 0 is one without an answer",
            self.requests.clone(),
        );
    }

    /// A request was made.
    pub fn requested(&self, service: &str, operation: &str, status: u16) {
        let request = Request { service: service.to_owned(), operation: operation.to_owned(), status };
        self.requests.get_or_create(&request).inc();
    }

    /// A message was read that had waited so long.
    pub fn received(&self, kind: &str, waited: Duration) {
        self.received.get_or_create(&Message { message_type: kind.to_owned() }).inc();
        self.waited.observe(waited.as_secs_f64());
    }

    /// So many messages were deleted.
    pub fn deleted(&self, messages: usize) {
        self.deleted.inc_by(u64::try_from(messages).unwrap_or(u64::MAX));
    }
}
