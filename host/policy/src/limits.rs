//! What a policy may use at most. One value for all of it, so that no limit is set in one place and enforced in
//! another.

use std::time::Duration;

/// The limits of one consultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of work, about one for each instruction. The same question always takes the same, so this is the limit
    /// that is meant to be met.
    pub fuel: u64,
    /// Time on the clock: the backstop for what fuel does not see, such as a machine that has no time for us.
    pub wall: Duration,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
}

impl Default for Limits {
    /// 50 million units, some milliseconds of work; 20 ms; 32 MiB.
    fn default() -> Self {
        Self { fuel: 50_000_000, wall: Duration::from_millis(20), memory_bytes: 32 << 20 }
    }
}

impl Limits {
    /// The same, with so much time that only fuel can run out: for where the answer must not depend on how busy the
    /// machine is.
    #[must_use]
    pub const fn patient(self) -> Self {
        Self { wall: Duration::from_secs(30), ..self }
    }
}

/// The most fuel that an attachment may grant: about a tenth of a second.
pub const FUEL_MAX: u64 = 2_000_000_000;
/// The longest that an attachment may let a consultation take: more would hold up a decision that people wait for.
pub const WALL_MAX: Duration = Duration::from_millis(200);
/// The most memory that an attachment may grant: what a slot of the pool holds.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

/// A module may be this large: a ConfigMap holds 1 MiB, an image volume more, and a policy in a language with a
/// runtime of its own several.
pub const MODULE_BYTES_MAX: usize = 16 << 20;
/// All modules in a directory may be this large together: they are read into memory at one moment.
pub const DIRECTORY_BYTES_MAX: usize = 256 << 20;
/// `policies.yaml` may be this large: the attachments that there may be, with settings of some pages each.
pub const ATTACHMENTS_BYTES_MAX: usize = 1 << 20;
/// A module may have this many functions. The stock policies have hundreds; what has hundreds of thousands is made to
/// keep the compiler busy.
pub const FUNCTIONS_MAX: u32 = 50_000;
/// A function may be this large: the compiler's work grows faster than the function.
pub const FUNCTION_BYTES_MAX: usize = 512 << 10;
/// A component may consist of this many modules: its own, and the shims that its maker adds.
pub const MODULES_MAX: u32 = 8;
/// A component may contain this many others: one for each interface that it exports, with some to spare.
pub const COMPONENTS_MAX: u32 = 16;
/// A table may have this many elements: one for each function that is called through a pointer.
pub const TABLE_ELEMENTS_MAX: usize = 50_000;
/// An answer may make the host allocate this much: 500 offerings with a reason each are a twentieth of it.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// A consultation may write this much into the log.
pub const LOG_BYTES_MAX: usize = 8 << 10;
/// Policies that are asked at the same time, each in a slot of the pool.
pub const SLOTS: u32 = 32;

/// What a policy says about itself: its name.
pub const NAME_BYTES_MAX: usize = 63;
/// What a policy says about itself: its version.
pub const VERSION_BYTES_MAX: usize = 64;
/// What a policy says about itself: its summary.
pub const SUMMARY_BYTES_MAX: usize = 512;
/// What a policy says about itself: the schema of its settings.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Label keys that a policy may ask to see, of each kind.
pub const READS_MAX: usize = 64;
/// Settings of one attachment, as JSON.
pub const SETTINGS_BYTES_MAX: usize = 256 << 10;
/// Attachments in one directory: each is asked in turn, and a decision waits for all.
pub const ATTACHMENTS_MAX: usize = 64;
