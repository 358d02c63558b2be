//! Manifests as people and `kubectl` write them: what is read, what is skipped, what is wrong.

use std::path::{Path, PathBuf};

use whittle_api::manifest::{File, Loaded, Manifests, files_below, parse, read};

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(name)
}

fn names<T>(loaded: &[Loaded<T>]) -> Vec<&str> {
    loaded.iter().map(|one| one.source.name.as_str()).collect()
}

fn one(text: &str) -> Manifests {
    parse(&[File { name: "x.yaml".into(), text: text.into() }])
}

fn shown(manifests: &Manifests) -> Vec<String> {
    manifests.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn good_manifests_are_read_and_what_means_nothing_is_skipped() {
    let manifests = read(&[directory("good")]);
    assert_eq!(shown(&manifests), Vec::<String>::new());
    assert_eq!(names(&manifests.node_pools), ["general", "listed", "gpu", "windows"]);
    assert_eq!(names(&manifests.node_classes), ["default", "gpu", "windows"]);
    assert_eq!(names(&manifests.node_claims), ["general-x2b4c"]);
    assert_eq!(names(&manifests.deployments), ["shop/web"]);
    assert_eq!(names(&manifests.stateful_sets), ["shop/db"]);
    assert_eq!(names(&manifests.daemon_sets), ["kube-system/agent"]);
    assert_eq!(names(&manifests.jobs), ["shop/import"]);
    assert_eq!(names(&manifests.cron_jobs), ["shop/nightly"]);
    assert_eq!(names(&manifests.pods), ["once"]);
    assert_eq!(names(&manifests.nodes), ["ip-10-0-0-1"]);
    assert_eq!(names(&manifests.pod_disruption_budgets), ["shop/db"]);
    assert_eq!(names(&manifests.persistent_volume_claims), ["shop/data-db-0"]);
    assert_eq!(names(&manifests.persistent_volumes), ["pv-1"]);
    assert_eq!(names(&manifests.storage_classes), ["gp3"]);
    assert_eq!(names(&manifests.priority_classes), ["high"]);
    assert_eq!(names(&manifests.namespaces), ["shop"]);
    let skipped: Vec<String> =
        manifests.skipped.iter().map(|one| format!("{} {}", one.source.kind, one.source.name)).collect();
    assert_eq!(skipped, ["NodeOverlay cheaper", "HorizontalPodAutoscaler shop/web"]);
}

/// Each broken file has its problems beside it. Run with `UPDATE_GOLDEN=1` to write them anew.
#[test]
fn every_problem_of_a_broken_manifest_is_told_with_its_place() {
    for name in ["node-pool", "documents", "workloads"] {
        let path = directory("broken").join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let manifests = parse(&[File { name: format!("{name}.yaml"), text }]);
        let found = shown(&manifests).join("\n") + "\n";
        let golden = path.with_extension("problems");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn what_was_read_can_be_written_and_read_again() {
    let first = read(&[directory("good")]);
    let items: Vec<serde_json::Value> = first
        .node_pools
        .iter()
        .map(|one| serde_json::to_value(&one.object).unwrap())
        .chain(first.node_classes.iter().map(|one| serde_json::to_value(&one.object).unwrap()))
        .chain(first.deployments.iter().map(|one| serde_json::to_value(&one.object).unwrap()))
        .collect();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let second = one(&list.to_string());
    assert_eq!(shown(&second), Vec::<String>::new());
    let objects = |manifests: &Manifests| {
        let pools: Vec<_> = manifests.node_pools.iter().map(|one| one.object.clone()).collect();
        let classes: Vec<_> = manifests.node_classes.iter().map(|one| one.object.clone()).collect();
        let deployments: Vec<_> = manifests.deployments.iter().map(|one| one.object.clone()).collect();
        (pools, classes, deployments)
    };
    assert_eq!(objects(&first), objects(&second));
}

#[test]
fn a_status_from_a_newer_cluster_is_no_problem() {
    let manifests = one(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: []}, status: {phase: Running, x: 1, conditions: [{type: Ready, status: 'True', y: 2}]}}",
    );
    assert_eq!((shown(&manifests), manifests.pods.len()), (Vec::new(), 1));
    let misspelt = one(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [], status: {}}, statu: {}}",
    );
    let paths: Vec<String> = misspelt.problems.iter().map(|one| one.defect.path.to_string()).collect();
    assert_eq!(paths, ["spec.status", "statu"]);
}

#[test]
fn a_file_that_is_not_there_is_a_problem_like_any_other() {
    let manifests = read(&[directory("good/special.yaml"), directory("nowhere.yaml")]);
    assert_eq!(names(&manifests.node_pools), ["gpu", "windows"]);
    let problems: Vec<&str> = manifests.problems.iter().map(|one| one.defect.expected.as_str()).collect();
    assert_eq!(problems, ["a file that can be read"]);
}

#[test]
fn files_below_a_directory_go_by_their_names_in_it() {
    let gathered = files_below(&directory("good"));
    let names: Vec<&str> = gathered.files.iter().map(|file| file.name.as_str()).collect();
    let wanted =
        ["cluster.yml", "general-purpose.yaml", "kubectl-list.yaml", "node-pool-list.json", "special.yaml"];
    assert_eq!((names, gathered.problems), (wanted.to_vec(), Vec::new()));
    let nowhere = files_below(&directory("nowhere"));
    let problems: Vec<&str> = nowhere.problems.iter().map(|one| one.defect.expected.as_str()).collect();
    assert_eq!((nowhere.files, problems), (Vec::new(), vec!["a directory that can be read"]));
}

#[test]
fn an_empty_text_and_one_of_comments_hold_nothing() {
    for text in [
        "",
        "\n\n",
        "# nothing\n",
        "---\n---\n# x\n---\n",
        "%YAML 1.2\n---\n",
        "\u{feff}",
        "null\n",
        "---\n...\n",
    ] {
        let manifests = one(text);
        assert_eq!((shown(&manifests), manifests.skipped.len()), (Vec::new(), 0), "{text:?}");
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let before = format!("*a{}", level - 1);
        let list = [before.as_str(); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let manifests = one(&text);
    assert_eq!(manifests.problems.len(), 1);
    assert_eq!(manifests.problems[0].defect.found, "aliases that copy more than 16 MiB");
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    let deep = 1_000_000;
    let texts = [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        format!("{}1{}", "[".repeat(deep), "]".repeat(deep)),
        "\"a\": {".repeat(deep),
    ];
    for text in texts {
        assert_eq!(one(&text).problems.len(), 1, "{:.20}", text);
    }
    let mut nested = String::new();
    for level in 0..2_000 {
        nested.push_str(&" ".repeat(level));
        nested.push_str("a:\n");
    }
    assert_eq!(one(&nested).problems.len(), 1);
}

#[test]
fn large_texts_are_read() {
    let list: String = (0..20_000)
        .map(|i| format!("- apiVersion: v1\n  kind: Pod\n  metadata: {{ name: p{i}, annotations: {{ note: \"{}\" }} }}\n  spec: {{ containers: [] }}\n", "x".repeat(400)))
        .collect();
    let manifests = one(&format!("apiVersion: v1\nkind: List\nitems:\n{list}"));
    assert_eq!((shown(&manifests), manifests.pods.len()), (Vec::new(), 20_000));
    let long = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: \"{}\" }}\nspec: {{ nodeNam: x, containers: [] }}\n",
        "y".repeat(10_000_000)
    );
    let paths = one(&long).problems.into_iter().map(|problem| problem.defect.path.to_string());
    assert_eq!(paths.collect::<Vec<_>>(), ["metadata.name", "spec.nodeNam"]);
}

#[test]
fn any_bytes_of_a_manifest_may_be_missing_or_wrong() {
    let text = std::fs::read_to_string(directory("good").join("special.yaml")).unwrap();
    let step = 29;
    for cut in (0..text.len()).step_by(step) {
        let mut broken = text.clone();
        broken.truncate(cut);
        one(&broken);
        for intruder in ["\t", "{", "]", "\"", ": ", "&", "*a", "!!", "\n---\n", "\u{0}"] {
            if cut % (step * 5) == 0 {
                let mut broken = text.clone();
                broken.insert_str(cut, intruder);
                one(&broken);
            }
        }
    }
}
