//! Lines for the host's log. Natively, as in a test, they go to the standard error.

/// A line for whoever writes the policy.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// A line for whoever wonders later.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// A line for whoever operates the cluster.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// A line that says why the policy is about to fail.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

pub use crate::bindings::policy::whittle::policy::log::Level;

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::policy::whittle::policy::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
