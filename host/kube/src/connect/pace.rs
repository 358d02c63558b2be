//! How fast the API server is asked: so many requests a second, and so many at once after a pause, as client-go counts
//! them. A watch is one request, however long it lasts.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer, Service};

/// So many requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// A second, in the long run.
    pub per_second: f64,
    /// At once, after a pause.
    pub burst: u32,
}

impl Pace {
    /// A quarter of it, and no less than one at a time.
    pub(super) fn quarter(self) -> Self {
        Self { per_second: self.per_second / 4.0, burst: (self.burst / 4).max(1) }
    }
}

/// What is left of a pace.
#[derive(Debug)]
struct Bucket {
    pace: Pace,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Takes one, and tells how long to wait for it. Who comes later waits longer.
    fn take(&mut self, now: Instant) -> Duration {
        let gained = now.duration_since(self.at).as_secs_f64() * self.pace.per_second;
        self.left = (self.left + gained).min(f64::from(self.pace.burst)) - 1.0;
        self.at = now;
        if self.left >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.left / self.pace.per_second).unwrap_or(Duration::MAX)
    }
}

/// Keeps a pace for everything that it is laid over, taken together.
#[derive(Clone, Debug)]
pub(super) struct Paced(Arc<Mutex<Bucket>>);

impl Paced {
    pub(super) fn new(pace: Pace) -> Self {
        Self(Arc::new(Mutex::new(Bucket { pace, left: f64::from(pace.burst), at: Instant::now() })))
    }

    fn take(&self) -> Duration {
        // Nobody panics while it is held; and if, its numbers are still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

impl<S> Layer<S> for Paced {
    type Service = PacedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PacedService { inner, paced: self.clone(), turn: Turn::Unknown }
    }
}

/// A service whose requests keep a pace.
#[derive(Debug)]
pub(super) struct PacedService<S> {
    inner: S,
    paced: Paced,
    turn: Turn,
}

/// When the next request may go.
#[derive(Debug)]
enum Turn {
    /// Nobody has asked yet.
    Unknown,
    /// After this.
    After(Pin<Box<Sleep>>),
    /// Now.
    Now,
}

impl<S, R> Service<R> for PacedService<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if matches!(self.turn, Turn::Unknown) {
            let wait = self.paced.take();
            self.turn = if wait.is_zero() { Turn::Now } else { Turn::After(Box::pin(sleep(wait))) };
        }
        if let Turn::After(sleep) = &mut self.turn {
            ready!(sleep.as_mut().poll(context));
            self.turn = Turn::Now;
        }
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.turn = Turn::Unknown;
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Bucket, Pace};

    #[test]
    fn so_many_go_at_once_and_those_after_them_at_the_pace() {
        let start = Instant::now();
        let mut bucket = Bucket { pace: Pace { per_second: 10.0, burst: 3 }, left: 3.0, at: start };
        let waits: Vec<u128> = (0..6).map(|_| bucket.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        // Whoever waits has taken what comes in the meantime.
        assert_eq!(bucket.take(start + Duration::from_millis(200)).as_millis(), 200);
        // A long pause gives no more than the burst.
        let later = start + Duration::from_secs(3600);
        let waits: Vec<u128> = (0..4).map(|_| bucket.take(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100]);
    }
}
