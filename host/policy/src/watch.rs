//! Looking at the directory: when the system says that something happened, and every few seconds whatever it says.
//!
//! Events are a hint to look and nothing else: what they say differs between file systems, tools and the kubelet, and
//! some never come. The mount itself is watched, never a file in it: a file that is swapped away takes its watch along.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use notify::event::AccessKind;
use notify::{EventKind, RecursiveMode, Watcher as _};
use whittle_core::model::time::Timestamp;

use crate::reload::{Looked, Reloader};
use crate::status::Status;

/// How often the directory is looked at without an event.
pub const POLL: Duration = Duration::from_secs(5);

/// Looks at a directory until it is dropped.
#[derive(Debug)]
pub struct Watch {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

enum Wake {
    Look,
    Stop,
}

impl Watch {
    /// Starts to look. `told` hears what each look came to, and where everything stands then: also when nothing has
    /// changed in the directory, because how policies do changes with every decision.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        mut reloader: Reloader,
        told: impl Fn(&Looked, &Status) + Send + 'static,
    ) -> io::Result<Self> {
        let (wake, woken) = channel();
        let events = wake.clone();
        let thread = thread::Builder::new().name("policy-watch".to_owned()).spawn(move || {
            let mut hints = Hints::new(events);
            reloader.start(now());
            loop {
                hints.follow(reloader.root());
                let looked = reloader.look(now());
                told(&looked, &reloader.status(now()));
                if !wait(&woken, pause(&looked, &reloader)) {
                    return;
                }
            }
        })?;
        Ok(Self { wake, thread: Some(thread) })
    }

    /// Looks now, whatever the system says.
    pub fn look(&self) {
        // Whoever does not listen any more has stopped, and will not look.
        self.wake.send(Wake::Look).ok();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wake.send(Wake::Stop).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// How long until the next look.
fn pause(looked: &Looked, reloader: &Reloader) -> Duration {
    let until = match looked {
        Looked::Settling(until) => Some(*until),
        Looked::Unchanged | Looked::Swapped(_) | Looked::Refused(_) | Looked::Unreadable(_) => {
            reloader.next_due()
        }
    };
    let span = until.map(|until| Duration::from_millis(until.since(now()).millis()));
    span.map_or(POLL, |span| span.min(POLL))
}

/// Waits for a reason to look; `false` when it is time to stop.
fn wait(woken: &Receiver<Wake>, pause: Duration) -> bool {
    match woken.recv_timeout(pause) {
        Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => {}
    }
    // One look serves all that has happened until now.
    woken.try_iter().all(|wake| matches!(wake, Wake::Look))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The system's events, as far as they can be had.
struct Hints {
    wake: Sender<Wake>,
    watcher: Option<notify::RecommendedWatcher>,
    /// The device and number of the folder that is watched: one that was replaced has others.
    watched: Option<(u64, u64)>,
}

impl Hints {
    const fn new(wake: Sender<Wake>) -> Self {
        Self { wake, watcher: None, watched: None }
    }

    /// Watches the folder that is at `root` now. Without a watch there is still the poll.
    fn follow(&mut self, root: &Path) {
        let found = fs::metadata(root).ok().map(|about| (about.dev(), about.ino()));
        if found == self.watched && self.watcher.is_some() {
            return;
        }
        let wake = self.wake.clone();
        // Every kind of event and every error is a reason to look, but that a file was opened: looking does that.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_opening =
                |event: &notify::Event| matches!(event.kind, EventKind::Access(AccessKind::Open(_)));
            if !event.as_ref().is_ok_and(is_opening) {
                wake.send(Wake::Look).ok();
            }
        });
        self.watcher = watcher.ok().and_then(|mut watcher| {
            watcher.watch(root, RecursiveMode::NonRecursive).ok()?;
            Some(watcher)
        });
        self.watched = found;
    }
}
