//! From YAML to attachments, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use whittle_core::advice::Hook;
use whittle_core::advice::merge::{Mode, OnFailure};

use super::{Attachment, FILE, NodePools, Problem};
use crate::limits::{ATTACHMENTS_MAX, FUEL_MAX, Limits, MEMORY_BYTES_MAX, SETTINGS_BYTES_MAX, WALL_MAX};

/// The fields of an attachment.
const FIELDS: [&str; 9] =
    ["name", "module", "nodePools", "hooks", "settings", "mode", "onFailure", "limits", "sha256"];

/// The fields of its limits.
const LIMITS: [&str; 3] = ["fuel", "wall", "memory"];

/// Problems as they are found.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>) {
        let (file, path) = (FILE.to_owned(), path.to_owned());
        self.0.push(Problem { file, path, found: found.into(), expected: expected.into() });
    }

    fn add_value(&mut self, path: &str, found: &Value, expected: impl Into<String>) {
        self.add(path, shown(found), expected);
    }

    /// The fields that nobody knows: most often a slip of the pen.
    fn unknown(&mut self, path: &str, object: &Map<String, Value>, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let expected = format!("one of {}", known.join(", "));
            self.add(&join(path, key), "an unknown field", expected);
        }
    }
}

pub(super) fn attachments(text: &str) -> Result<Vec<Attachment>, Vec<Problem>> {
    let mut problems = Problems::default();
    let value: Value = match serde_saphyr::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let message = error.to_string();
            let first = message.lines().next().unwrap_or_default().to_owned();
            problems.add("", first, "YAML");
            return Err(problems.0);
        }
    };
    let found = match &value {
        Value::Object(top) => {
            problems.unknown("", top, &["policies"]);
            match top.get("policies") {
                None => {
                    problems.add("policies", "nothing", "a list of policies, which may be empty");
                    Vec::new()
                }
                Some(Value::Array(list)) => list.iter().collect(),
                Some(other) => {
                    problems.add_value("policies", other, "a list of policies, which may be empty");
                    Vec::new()
                }
            }
        }
        other => {
            problems.add_value("", other, "an object with a list of policies");
            Vec::new()
        }
    };
    if found.len() > ATTACHMENTS_MAX {
        problems.add("policies", format!("{} policies", found.len()), format!("at most {ATTACHMENTS_MAX}"));
    }
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for (place, value) in found.into_iter().enumerate() {
        let path = format!("policies[{place}]");
        let Value::Object(object) = value else {
            problems.add_value(&path, value, "an object");
            continue;
        };
        problems.unknown(&path, object, &FIELDS);
        if let Some(attachment) = attachment(&path, object, &mut problems) {
            if !names.insert(attachment.name.clone()) {
                problems.add(
                    &join(&path, "name"),
                    format!("{:?} again", attachment.name),
                    "a name of its own",
                );
            }
            read.push(attachment);
        }
    }
    if problems.0.is_empty() { Ok(read) } else { Err(problems.0) }
}

fn attachment(path: &str, object: &Map<String, Value>, problems: &mut Problems) -> Option<Attachment> {
    let at = |field: &str| join(path, field);
    let name = required(&at("name"), object.get("name"), problems, |name| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (!name.is_empty() && name.len() <= 63 && name.bytes().all(is_inner))
            .then_some(())
            .ok_or("at most 63 lower-case letters, digits and -")
    });
    let module = required(&at("module"), object.get("module"), problems, |module| {
        // A name and no path: what is read lies beside this file, whatever the file says.
        let is_beside = !module.contains(['/', '\\', '\0']) && !module.starts_with('.');
        (is_beside && module.ends_with(".wasm"))
            .then_some(())
            .ok_or("the name of a .wasm file beside this one")
    });
    let node_pools = node_pools(&at("nodePools"), object.get("nodePools"), problems);
    let hooks = object.get("hooks").map(|value| hooks(&at("hooks"), value, problems));
    let settings = settings(&at("settings"), object.get("settings"), problems);
    let mode = match chosen(&at("mode"), object.get("mode"), &["enforce", "shadow", "off"], problems) {
        Some("shadow") => Some(Mode::Shadow),
        Some("off") => None,
        _ => Some(Mode::Enforce),
    };
    let on_failure = match chosen(&at("onFailure"), object.get("onFailure"), &["default", "hold"], problems) {
        Some("hold") => OnFailure::Hold,
        _ => OnFailure::Default,
    };
    let limits = limits(&at("limits"), object.get("limits"), problems);
    let sha256 = object.get("sha256").and_then(|value| {
        let is_digest = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = value.as_str().filter(is_digest).map(str::to_ascii_lowercase);
        if digest.is_none() {
            problems.add_value(&at("sha256"), value, "64 hexadecimal digits, as sha256sum prints them");
        }
        digest
    });
    let (name, module) = (name?, module?);
    Some(Attachment { name, module, node_pools, hooks, settings, mode, on_failure, limits, sha256 })
}

fn required(
    path: &str,
    value: Option<&Value>,
    problems: &mut Problems,
    check: impl Fn(&str) -> Result<(), &'static str>,
) -> Option<String> {
    match value {
        None => {
            problems.add(path, "nothing", check("").err().unwrap_or("text"));
            None
        }
        Some(Value::String(text)) => match check(text) {
            Ok(()) => Some(text.clone()),
            Err(expected) => {
                problems.add(path, format!("{text:?}"), expected);
                None
            }
        },
        Some(other) => {
            problems.add_value(path, other, check("").err().unwrap_or("text"));
            None
        }
    }
}

fn node_pools(path: &str, value: Option<&Value>, problems: &mut Problems) -> NodePools {
    const EXPECTED: &str = "a list of names, or an object with matchLabels";
    match value {
        None => NodePools::All,
        Some(Value::Array(names)) => {
            let texts: Option<BTreeSet<String>> =
                names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            match texts {
                Some(names) if !names.is_empty() => NodePools::Named(names),
                _ => {
                    problems.add_value(path, &Value::Array(names.clone()), EXPECTED);
                    NodePools::All
                }
            }
        }
        Some(Value::Object(object)) => {
            problems.unknown(path, object, &["matchLabels"]);
            let labels = object.get("matchLabels").and_then(Value::as_object).and_then(|labels| {
                let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
                labels.iter().map(pair).collect::<Option<BTreeMap<String, String>>>()
            });
            match labels {
                Some(labels) if !labels.is_empty() => NodePools::Labelled(labels),
                _ => {
                    problems.add_value(path, &Value::Object(object.clone()), EXPECTED);
                    NodePools::All
                }
            }
        }
        Some(other) => {
            problems.add_value(path, other, EXPECTED);
            NodePools::All
        }
    }
}

fn hooks(path: &str, value: &Value, problems: &mut Problems) -> BTreeSet<Hook> {
    let known: Vec<&str> = Hook::ALL.iter().map(|hook| hook.name()).collect();
    let expected = format!("a list of some of {}", known.join(", "));
    let Value::Array(names) = value else {
        problems.add_value(path, value, expected);
        return BTreeSet::new();
    };
    if names.is_empty() {
        problems.add(path, "an empty list", format!("{expected}; `mode: off` asks nothing"));
    }
    let mut hooks = BTreeSet::new();
    for (place, name) in names.iter().enumerate() {
        match name.as_str().and_then(Hook::from_name) {
            Some(hook) => {
                hooks.insert(hook);
            }
            None => {
                problems.add_value(&format!("{path}[{place}]"), name, format!("one of {}", known.join(", ")))
            }
        }
    }
    hooks
}

fn settings(path: &str, value: Option<&Value>, problems: &mut Problems) -> String {
    let text = match value {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(value @ Value::Object(_)) => value.to_string(),
        Some(other) => {
            problems.add_value(path, other, "an object");
            "{}".to_owned()
        }
    };
    if text.len() > SETTINGS_BYTES_MAX {
        problems.add(path, format!("{} bytes", text.len()), format!("at most {SETTINGS_BYTES_MAX}"));
    }
    text
}

fn chosen<'a>(
    path: &str,
    value: Option<&'a Value>,
    known: &[&str],
    problems: &mut Problems,
) -> Option<&'a str> {
    let value = value?;
    // YAML of an older version reads a bare `off` as false.
    let text = if *value == Value::Bool(false) { Some("off") } else { value.as_str() };
    let text = text.filter(|text| known.contains(text));
    if text.is_none() {
        problems.add_value(path, value, format!("one of {}", known.join(", ")));
    }
    text
}

fn limits(path: &str, value: Option<&Value>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let object = match value {
        None => return limits,
        Some(Value::Object(object)) => object,
        Some(other) => {
            problems.add_value(path, other, format!("an object with {}", LIMITS.join(", ")));
            return limits;
        }
    };
    problems.unknown(path, object, &LIMITS);
    if let Some(value) = object.get("fuel") {
        match value.as_u64().filter(|fuel| (1..=FUEL_MAX).contains(fuel)) {
            Some(fuel) => limits.fuel = fuel,
            None => problems.add_value(&join(path, "fuel"), value, format!("1 to {FUEL_MAX}")),
        }
    }
    if let Some(value) = object.get("wall") {
        let millis = value.as_str().and_then(|text| text.strip_suffix("ms")?.parse().ok());
        let wall = millis.map(Duration::from_millis).filter(|wall| !wall.is_zero() && *wall <= WALL_MAX);
        match wall {
            Some(wall) => limits.wall = wall,
            None => {
                let expected = format!("1ms to {}ms", WALL_MAX.as_millis());
                problems.add_value(&join(path, "wall"), value, expected);
            }
        }
    }
    if let Some(value) = object.get("memory") {
        let mebibytes: Option<usize> = value.as_str().and_then(|text| text.strip_suffix("Mi")?.parse().ok());
        let most = MEMORY_BYTES_MAX >> 20;
        match mebibytes.filter(|mebibytes| (1..=most).contains(mebibytes)) {
            Some(mebibytes) => limits.memory_bytes = mebibytes << 20,
            None => problems.add_value(&join(path, "memory"), value, format!("1Mi to {most}Mi")),
        }
    }
    limits
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A value as the user wrote it, as far as it is short.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string().chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let read = attachments("policies:\n- {name: a, module: a.wasm}").unwrap();
        let expected = Attachment {
            name: "a".into(),
            module: "a.wasm".into(),
            node_pools: NodePools::All,
            hooks: None,
            settings: "{}".into(),
            mode: Some(Mode::Enforce),
            on_failure: OnFailure::Default,
            limits: Limits::default(),
            sha256: None,
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let digest = "a".repeat(64);
        let text = format!(
            "policies:
- name: web-spot-ratio
  module: spot-ratio.wasm
  nodePools: [mixed-workload]
  hooks: [capacity]
  settings: {{onDemandBase: 2, spotPercent: 80}}
  mode: shadow
  onFailure: hold
  limits: {{fuel: 1000, wall: 5ms, memory: 8Mi}}
  sha256: \"{digest}\"
- name: other
  module: other.wasm
  nodePools: {{matchLabels: {{team: web}}}}
  mode: off
"
        );
        let read = attachments(&text).unwrap();
        let expected = Attachment {
            name: "web-spot-ratio".into(),
            module: "spot-ratio.wasm".into(),
            node_pools: NodePools::Named(["mixed-workload".to_owned()].into()),
            hooks: Some([Hook::Capacity].into()),
            settings: r#"{"onDemandBase":2,"spotPercent":80}"#.into(),
            mode: Some(Mode::Shadow),
            on_failure: OnFailure::Hold,
            limits: Limits { fuel: 1_000, wall: Duration::from_millis(5), memory_bytes: 8 << 20 },
            sha256: Some(digest),
        };
        assert_eq!(read[0], expected);
        let labels = NodePools::Labelled([("team".to_owned(), "web".to_owned())].into());
        assert_eq!((read[1].mode, &read[1].node_pools), (None, &labels));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = "policies:
- {name: A, module: ../a.wasm, hook: [capacity], mode: maybe}
- {name: b, module: b.wasm, hooks: [capacty], limits: {fuel: 0, wall: 1s, memory: 1Gi, cpu: 1}}
- {name: b, module: b.wasm, nodePools: [], settings: 5, sha256: abc, onFailure: 7}
- 7
- {}
";
        let problems = attachments(text).unwrap_err();
        let told: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.found)).collect();
        let expected = [
            "policies[0].hook: an unknown field",
            r#"policies[0].name: "A""#,
            r#"policies[0].module: "../a.wasm""#,
            r#"policies[0].mode: "maybe""#,
            "policies[1].limits.cpu: an unknown field",
            r#"policies[1].hooks[0]: "capacty""#,
            "policies[1].limits.fuel: 0",
            r#"policies[1].limits.wall: "1s""#,
            r#"policies[1].limits.memory: "1Gi""#,
            "policies[2].nodePools: an empty list",
            "policies[2].settings: 5",
            "policies[2].onFailure: 7",
            r#"policies[2].sha256: "abc""#,
            r#"policies[2].name: "b" again"#,
            "policies[3]: 7",
            "policies[4].name: nothing",
            "policies[4].module: nothing",
        ];
        let mut told = told;
        let mut expected = expected.map(str::to_owned).to_vec();
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_told_so() {
        for (text, expected) in [
            ("policies: {}", "policies: found an object"),
            ("[]", ": found an empty list"),
            ("", ": found nothing"),
            ("{}", "policies: found nothing"),
        ] {
            let problem = attachments(text).unwrap_err().remove(0);
            assert_eq!(format!("{}: found {}", problem.path, problem.found), expected, "{text}");
        }
        assert_eq!(attachments("policies: [").unwrap_err()[0].expected, "YAML");
        assert_eq!(attachments("policies: []"), Ok(Vec::new()));
    }
}
