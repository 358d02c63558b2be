//! Files that are cut off, nested without end, or no YAML at all.

use std::fs;
use std::path::{Path, PathBuf};

use whittle_api::manifest::{File, files_below};
use whittle_sim::plan::plan;
use whittle_sim::run::Options;

use crate::directory::{Outcome, deployment, file, planned, pool, with_class};

/// At so many places is a file cut: `cargo test --release`, where a plan takes a tenth of the time, cuts everywhere.
const CUTS: usize = if cfg!(debug_assertions) { 15 } else { usize::MAX };
/// Of so many lines, one is left out at a time; as above.
const LINES_PER_TRY: usize = if cfg!(debug_assertions) { 5 } else { 1 };

/// A directory of the workspace with a file of each kind.
fn example(name: &str) -> Vec<File> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    files_below(&directory).files
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused_or_planned() {
    // Everything that happens is left out: what a cut scenario names may be cut off as well, which is an error.
    let whole = example("existing-cluster");
    for position in 0..whole.len() {
        let text = &whole[position].text;
        let step = (text.len() / CUTS).max(1);
        for end in (0..text.len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
            let mut files = whole.clone();
            files[position].text.truncate(end);
            planned(files);
        }
    }
}

#[test]
fn a_file_with_any_one_line_left_out_is_refused_or_planned() {
    let whole = example("statefulset-volumes");
    for position in 0..whole.len() {
        for left_out in (0..whole[position].text.lines().count()).step_by(LINES_PER_TRY) {
            let mut files = whole.clone();
            let lines = whole[position].text.lines().enumerate().filter(|(line, _)| *line != left_out);
            files[position].text = lines.map(|(_, line)| format!("{line}\n")).collect();
            planned(files);
        }
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = 100_000;
    let blocks: String = (0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let texts = [
        "[".repeat(deep),
        "[".repeat(deep) + &"]".repeat(deep),
        "{\"a\":".repeat(deep) + "1" + &"}".repeat(deep),
        "- ".repeat(deep),
        "? ".repeat(deep),
        blocks,
    ];
    for text in texts {
        for name in ["deep.yaml", "deep.json"] {
            let mut files = with_class(&[pool("default", |_| ())]);
            files.push(file(name, &text));
            planned(files).problems();
        }
        let mut files = with_class(&[pool("default", |_| ())]);
        files.push(file("scenario.yaml", &format!("kind: Scenario\nspec: {text}")));
        planned(files).problems();
    }
}

#[test]
fn aliases_that_would_fill_all_memory_are_refused() {
    let mut bomb = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (before, after) in ('a'..='i').zip('b'..='j') {
        let nine = vec![format!("*{before}"); 9].join(", ");
        bomb.push_str(&format!("{after}: &{after} [{nine}]\n"));
    }
    let mut files = with_class(&[pool("default", |_| ())]);
    files.push(file("bomb.yaml", &bomb));
    planned(files).problems();
    let mut files = with_class(&[pool("default", |_| ())]);
    let indented: String = bomb.lines().map(|line| format!("  {line}\n")).collect();
    files.push(file("scenario.yaml", &format!("kind: Scenario\nspec:\n{indented}")));
    planned(files).problems();
}

#[test]
fn very_many_problems_are_all_found_and_not_all_printed() {
    let texts = [
        "---\na: b: c\n".repeat(10_000),
        "k: 1\n".repeat(10_000),
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, foo: b}]}\n"
            .repeat(5_000),
        format!(
            "apiVersion: whittle.dev/v1alpha1\nkind: Scenario\nspec:\n  duration: 1h\n  events:\n{}",
            "    - {at: 5, foo: bar}\n".repeat(10_000)
        ),
    ];
    for text in texts {
        let mut files = with_class(&[pool("default", |_| ())]);
        files.push(file("many.yaml", &text));
        let problems = planned(files.clone()).problems();
        assert!(problems.len() >= 5_000, "{} problems", problems.len());
        let shown = whittle_sim::plan::plan_files(files, &Options::default()).unwrap_err().to_string();
        assert!(shown.len() < 1_000_000, "{} bytes", shown.len());
    }
}

#[test]
fn empty_texts_everywhere_are_refused() {
    let full = deployment("web", 2, |spec| {
        spec["nodeSelector"] = serde_json::json!({ "a": "b" });
        spec["tolerations"] = serde_json::json!([{ "key": "a", "operator": "Equal", "value": "b" }]);
    });
    let objects = [pool("default", |_| ()), full];
    for left in 0..objects.len() {
        let mut emptied = objects.clone();
        emptied[left] = empty(&emptied[left]);
        planned(with_class(&emptied)).problems();
        let mut emptied = objects.clone();
        emptied[left]["metadata"]["name"] = "".into();
        planned(with_class(&emptied)).problems();
        emptied[left]["kind"] = "".into();
        planned(with_class(&emptied)).problems();
    }
    let mut keyless = objects.clone();
    keyless[1]["spec"]["template"]["spec"]["nodeSelector"] = serde_json::json!({ "": "" });
    planned(with_class(&keyless)).problems();
    for text in ["", "\n\n", "---\n".repeat(10_000).as_str(), "# nothing", "\u{feff}", "null", "~"] {
        let mut files = with_class(&objects);
        files.push(file("empty.yaml", text));
        planned(files).plan();
    }
    assert!(matches!(planned(Vec::new()), Outcome::Planned(_)), "nothing at all is a cluster without pods");
}

/// The value with every text in it empty, apart from what says what it is.
fn empty(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let kept = |key: &str| matches!(key, "apiVersion" | "kind");
            let each = fields
                .iter()
                .map(|(key, one)| (key.clone(), if kept(key) { one.clone() } else { empty(one) }));
            serde_json::Value::Object(each.collect())
        }
        serde_json::Value::Array(items) => items.iter().map(empty).collect(),
        serde_json::Value::String(_) => "".into(),
        other => other.clone(),
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    let (pool, web) = (pool("default", |_| ()), deployment("web", 2, |_| ()));
    assert_eq!(planned(with_class(&[pool.clone(), pool.clone(), web.clone()])).problems().len(), 1);
    assert_eq!(
        planned(with_class(&[pool.clone(), web.clone(), web.clone(), web.clone()])).problems().len(),
        2
    );
    // The first of two keys stands in YAML, the last in JSON: neither is guessed.
    let mut files = with_class(&[pool]);
    files.push(file("twice.yaml", "apiVersion: v1\nkind: Namespace\nkind: Pod\nmetadata: {name: a}\n"));
    planned(files).problems();
}

#[test]
fn pods_with_one_uid_are_one_pod_at_most() {
    let pod = |name: &str| {
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "uid": "same" },
            "spec": { "containers": [{ "name": "one", "image": "one" }] },
            "status": { "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }] },
        })
    };
    planned(with_class(&[pool("default", |_| ()), pod("a"), pod("b"), pod("c")]));
}

#[test]
fn junk_in_a_directory_is_named_with_its_file() {
    let directory = scratch("junk");
    fs::write(directory.join("bytes.yaml"), [0xff, 0xfe, 0x00, 0x80, b'a']).unwrap();
    fs::write(directory.join("zeroes.yaml"), [0_u8; 4_096]).unwrap();
    fs::write(directory.join("signs.yaml"), "&!@#%|>`\t{[}]".repeat(1_000)).unwrap();
    let problems = plan(&directory, &Options::default()).unwrap_err();
    let mut files: Vec<&str> = problems.0.iter().map(|problem| problem.source.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files, ["bytes.yaml", "signs.yaml", "zeroes.yaml"]);
}

/// An empty directory for one test.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile").join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("a scratch directory can be emptied");
    }
    fs::create_dir_all(&directory).expect("a scratch directory can be made");
    directory
}
