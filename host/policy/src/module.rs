//! A policy that has been loaded: gated, compiled, linked and described. It holds no settings and no state; every
//! consultation gets a fresh instance that is thrown away.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{Component, Instance};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Answer, Hook, Question};
use whittle_core::model::time::Timestamp;

use crate::cache::Cache;
use crate::digest::Digest;
use crate::engine::{Engine, TICK};
use crate::fault::Fault;
use crate::gate::{self, Refusal};
use crate::guest::{Guest, Log};
use crate::limits::{
    ANSWER_BYTES_MAX, Limits, NAME_BYTES_MAX, READS_MAX, SCHEMA_BYTES_MAX, SUMMARY_BYTES_MAX,
    TABLE_ELEMENTS_MAX, VERSION_BYTES_MAX,
};
use crate::v0_1::{About, Ready};

/// A policy that has been loaded.
pub struct Module {
    /// The digest of its file.
    pub digest: Digest,
    /// The size of its file.
    pub bytes: usize,
    /// What it says about itself.
    pub about: About,
    /// The hooks that it exports.
    pub hooks: BTreeSet<Hook>,
    /// What it imports, by full name.
    pub imports: Vec<String>,
    /// How many functions it has.
    pub functions: u32,
    /// Whether the file was a core module.
    pub was_module: bool,
    /// How long it took to compile; `None` when it came from the cache.
    pub compiled_in: Option<Duration>,
    ready: Ready,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("about", &self.about)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a consultation used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Fuel, configuring included. The same for the same question, whenever it is asked.
    pub fuel: u64,
    /// Time on the clock.
    pub took: Duration,
}

/// What a consultation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consultation {
    /// The answer, or why there is none.
    pub answer: Result<Answer, Fault>,
    /// What it used.
    pub cost: Cost,
    /// What the policy wrote.
    pub log: Log,
}

impl Module {
    /// Loads a file: through the gate, compiled or from the cache, linked, and asked what it is.
    ///
    /// # Errors
    /// With what was found and what was expected.
    pub fn load(engine: &Engine, cache: Option<&Cache>, bytes: &[u8]) -> Result<Self, Refusal> {
        let passed = gate::pass(bytes)?;
        let digest = Digest::of(&passed.component);
        let known = cache.and_then(|cache| cache.find(engine, digest));
        let start = Instant::now();
        let (component, compiled_in) = match known {
            Some(component) => (component, None),
            None => {
                let component = Component::from_binary(&engine.inner, &passed.component)
                    .map_err(|error| Refusal::new(format!("{error:#}"), "a component that compiles"))?;
                // A cache that cannot be written to costs time at the next start and nothing now.
                if let Some(Err(error)) = cache.map(|cache| cache.keep(engine, digest, &component)) {
                    eprintln!("compiled policies are not kept: {error}");
                }
                (component, Some(start.elapsed()))
            }
        };
        check_resources(&component)?;
        let linked = engine.linker.instantiate_pre(&component);
        let pre = linked.map_err(|error| Refusal::new(format!("{error:#}"), "a component that links"))?;
        let ready = Ready::new(pre, &passed.hooks).map_err(|error| other_types(&error))?;
        let about = describe(engine, &ready)?;
        Ok(Self {
            digest: Digest::of(bytes),
            bytes: bytes.len(),
            about,
            hooks: passed.hooks,
            imports: passed.imports,
            functions: passed.functions,
            was_module: passed.was_module,
            compiled_in,
            ready,
        })
    }

    /// Hands an instance settings, and tells which labels the policy reads with them.
    ///
    /// # Errors
    /// With each complaint of the policy, or why it has none and still will not do.
    pub fn configure(&self, engine: &Engine, settings: &str, limits: Limits) -> Result<Reads, Vec<Refusal>> {
        let mut store = store(engine, limits).map_err(|error| vec![failed(&error, None, limits)])?;
        let configured = self
            .ready
            .instantiate(&mut store)
            .and_then(|instance| self.ready.configure(&mut store, &instance, settings));
        let configured = match configured {
            Ok(configured) => configured,
            Err(error) => return Err(vec![failed(&error, store.data().log.last_words(), limits)]),
        };
        match configured {
            Ok(reads) => check_reads(reads).map_err(|refusal| vec![refusal]),
            Err(complaints) => Err(complaints
                .into_iter()
                .map(|(path, message)| {
                    let found =
                        if path.is_empty() { "settings".to_owned() } else { format!("settings.{path}") };
                    Refusal::new(found, message)
                })
                .collect()),
        }
    }

    /// Asks a fresh instance, configured with `settings`. The answer is checked.
    #[must_use]
    pub fn consult(
        &self,
        engine: &Engine,
        (settings, limits): (&str, Limits),
        (question, reads, now): (&Question, &Reads, Timestamp),
    ) -> Consultation {
        let start = Instant::now();
        let mut store = match store(engine, limits) {
            Ok(store) => store,
            Err(error) => {
                let answer = Err(Fault::of(&error, limits, None));
                return Consultation { answer, cost: Cost::default(), log: Log::default() };
            }
        };
        let asked = self.ask(&mut store, settings, (question, reads, now));
        let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let log = store.into_data().log;
        let answer = match asked {
            Ok(Ok(answer)) => match question.check(&answer, now) {
                Ok(()) => Ok(answer),
                Err(wrong) => Err(Fault::Answer(wrong)),
            },
            Ok(Err(fault)) => Err(fault),
            Err(error) => Err(Fault::of(&error, limits, log.last_words())),
        };
        Consultation { answer, cost: Cost { fuel, took: start.elapsed() }, log }
    }

    fn ask(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
        question: (&Question, &Reads, Timestamp),
    ) -> wasmtime::Result<Result<Answer, Fault>> {
        let instance: Instance = self.ready.instantiate(store)?;
        if let Err(complaints) = self.ready.configure(store, &instance, settings)? {
            let complaints = complaints.iter().map(|(path, message)| format!("{path} {message}"));
            return Ok(Err(Fault::Settings(complaints.collect::<Vec<_>>().join("; "))));
        }
        let answer = self.ready.ask(store, &instance, question)?;
        Ok(answer.ok_or_else(|| Fault::Settings(format!("it does not answer {}", question.0.hook()))))
    }
}

/// A store whose limits are all set from one value.
fn store(engine: &Engine, limits: Limits) -> wasmtime::Result<Store<Guest>> {
    let mut store = Store::new(&engine.inner, Guest::new(limits));
    store.limiter(|guest| &mut guest.limits);
    store.set_fuel(limits.fuel)?;
    // The tick under way may end at once, so one more.
    let ticks = limits.wall.as_nanos().div_ceil(TICK.as_nanos()).saturating_add(1);
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store.set_hostcall_fuel(ANSWER_BYTES_MAX);
    Ok(store)
}

/// Asks what the policy is, twice: an answer that changes is no description.
fn describe(engine: &Engine, ready: &Ready) -> Result<About, Refusal> {
    // Loading is not hurried: what it finds must not depend on how busy the machine is.
    let limits = Limits::default().patient();
    let ask = || {
        let mut store = store(engine, limits).map_err(|error| failed(&error, None, limits))?;
        let instance = ready
            .instantiate(&mut store)
            .map_err(|error| failed(&error, store.data().log.last_words(), limits))?;
        ready.check_types(&mut store, &instance).map_err(|error| other_types(&error))?;
        ready
            .describe(&mut store, &instance)
            .map_err(|error| failed(&error, store.data().log.last_words(), limits))
    };
    let (about, again) = (ask()?, ask()?);
    if about != again {
        return Err(Refusal::new("a description that changes", "the same description on every call"));
    }
    check_about(about)
}

fn check_about(about: About) -> Result<About, Refusal> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if about.name.is_empty() || about.name.len() > NAME_BYTES_MAX || !about.name.bytes().all(is_name) {
        let expected = format!("at most {NAME_BYTES_MAX} lower-case letters, digits and -");
        return Err(Refusal::new(format!("the name {:?}", shortened(&about.name)), expected));
    }
    let texts = [
        ("version", &about.version, VERSION_BYTES_MAX),
        ("summary", &about.summary, SUMMARY_BYTES_MAX),
        ("schema of the settings", &about.settings_schema, SCHEMA_BYTES_MAX),
    ];
    for (what, text, most) in texts {
        if text.len() > most {
            return Err(Refusal::new(format!("a {what} of {} bytes", text.len()), format!("at most {most}")));
        }
    }
    let schema: Result<serde_json::Value, _> = serde_json::from_str(&about.settings_schema);
    match schema {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)) => Ok(about),
        Ok(_) => Err(Refusal::new("a schema of the settings that is not an object", "a JSON Schema")),
        Err(error) => Err(Refusal::new(format!("a schema of the settings with {error}"), "a JSON Schema")),
    }
}

fn check_reads(reads: Reads) -> Result<Reads, Refusal> {
    for keys in [&reads.pod_labels, &reads.node_labels, &reads.offering_labels] {
        if keys.len() > READS_MAX {
            return Err(Refusal::new(
                format!("{} label keys to read", keys.len()),
                format!("at most {READS_MAX}"),
            ));
        }
        if let Some(key) = keys.iter().find(|key| key.is_empty() || key.len() > 317) {
            return Err(Refusal::new(format!("the label key {:?}", shortened(key)), "a key of a label"));
        }
    }
    Ok(reads)
}

/// What the module wants before it runs must be such as a slot has.
fn check_resources(component: &Component) -> Result<(), Refusal> {
    let Some(wants) = component.resources_required() else {
        return Err(Refusal::new("imported modules", "a component that is whole"));
    };
    let memory = Limits::default().memory_bytes as u64;
    if let Some(bytes) = wants.max_initial_memory_size.filter(|bytes| *bytes > memory) {
        let expected = format!("at most {} MiB", memory >> 20);
        return Err(Refusal::new(format!("{} MiB of memory at the start", bytes >> 20), expected));
    }
    let most = TABLE_ELEMENTS_MAX as u64;
    if let Some(elements) = wants.max_initial_table_size.filter(|elements| *elements > most) {
        return Err(Refusal::new(format!("a table of {elements} elements"), format!("at most {most}")));
    }
    Ok(())
}

fn other_types(error: &wasmtime::Error) -> Refusal {
    Refusal::new(format!("{error:#}"), "functions as wit/v0.1 has them")
}

fn failed(error: &wasmtime::Error, last_words: Option<&str>, limits: Limits) -> Refusal {
    Refusal::new(format!("a policy that {}", Fault::of(error, limits, last_words)), "one that starts")
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
