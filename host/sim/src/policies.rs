//! The policies that a simulation decides with. Where they come from and how they run is not known here: whoever starts
//! the simulation brings a source of them.

use std::fmt;
use std::sync::Arc;

use whittle_control::ports::policies::Policies;

/// A source of policies, which a scenario may swap in the middle of a day.
pub trait PolicySource: fmt::Debug + Send + Sync {
    /// The policies, whichever are in force.
    fn policies(&self) -> Arc<dyn Policies>;

    /// Puts what lies in a directory in force, seen from the directory that is simulated, and says what that is.
    ///
    /// # Errors
    /// When it will not do: everything that is wrong. What was in force still is.
    fn swap(&self, directory: &str) -> Result<String, String>;
}

/// A source that can be kept among the options of a simulation.
#[derive(Clone, Debug)]
pub struct Source(pub Arc<dyn PolicySource>);

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Source {}
