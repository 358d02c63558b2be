//! Files that are refused before anything of them runs, each with the words that an author gets.

use whittle_policy::gate::pass;
use whittle_policy::module::Module;
use whittle_tests::modules::module;

use crate::build::ENGINE;

fn refused(bytes: &[u8]) -> String {
    match Module::load(&ENGINE, None, bytes) {
        Ok(module) => panic!("taken: {module:?}"),
        Err(refusal) => refusal.to_string(),
    }
}

fn text(source: &str) -> Vec<u8> {
    wat::parse_str(source).unwrap()
}

#[test]
fn a_stock_policy_passes() {
    let passed = pass(&module("spot-ratio")).unwrap();
    assert_eq!(passed.hooks, [whittle_core::advice::Hook::Capacity].into());
    let imports: Vec<&str> = passed.imports.iter().map(String::as_str).collect();
    assert_eq!(imports, ["whittle:policy/types@0.1.0", "whittle:policy/log@0.1.0"]);
}

#[test]
fn a_component_passes_as_well_as_the_module_it_was_made_of() {
    let component = pass(&module("spot-ratio")).unwrap().component;
    let of_component = Module::load(&ENGINE, None, &component).unwrap();
    assert_eq!(of_component.about, Module::load(&ENGINE, None, &module("spot-ratio")).unwrap().about);
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = module("spot-ratio");
    for length in [9, 100, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let refusal = refused(&whole[..length]);
        assert!(refusal.contains("ends too early") || refusal.contains("expected"), "{length}: {refusal}");
    }
}

#[test]
fn a_module_with_hundreds_of_thousands_of_functions_is_not_compiled() {
    let functions = "(func)".repeat(60_000);
    let refusal = refused(&text(&format!("(module {functions})")));
    assert_eq!(refusal, "found 60000 functions, expected at most 50000");
}

#[test]
fn a_function_that_would_keep_the_compiler_busy_is_not_compiled() {
    let body = "(drop (i32.const 1))".repeat(200_000);
    let refusal = refused(&text(&format!("(module (func {body}))")));
    assert!(refusal.starts_with("found a function of "), "{refusal}");
    assert!(refusal.ends_with(" bytes, expected at most 512 KiB"), "{refusal}");
}

#[test]
fn imports_of_wasi_are_refused_with_the_way_out() {
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#;
    let component = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    for (source, name) in
        [(module, "wasi_snapshot_preview1.fd_write"), (component, "wasi:clocks/wall-clock@0.2.0")]
    {
        let expected = format!(
            "found an import of {name}, expected no imports but whittle:policy/log: \
             build for wasm32-unknown-unknown, which has no WASI"
        );
        assert_eq!(refused(&text(source)), expected);
    }
}

#[test]
fn an_interface_from_the_future_is_refused() {
    let source = r#"(component (instance $i) (export "whittle:policy/meta@0.2.0" (instance $i)))"#;
    let expected = "found whittle:policy/meta@0.2.0, expected version 0.1.0 of the interface, the one that this host speaks";
    assert_eq!(refused(&text(source)), expected);
}

#[test]
fn a_hook_that_the_host_does_not_know_is_refused() {
    let source = r#"(component (instance $i) (export "whittle:policy/prophecy@0.1.0" (instance $i)))"#;
    let refusal = refused(&text(source));
    assert!(
        refusal.starts_with("found an export of whittle:policy/prophecy@0.1.0, expected meta"),
        "{refusal}"
    );
}

#[test]
fn a_policy_without_meta_or_without_hooks_is_refused() {
    let without_meta = r#"(component (instance $i) (export "whittle:policy/capacity@0.1.0" (instance $i)))"#;
    assert!(refused(&text(without_meta)).ends_with("expected an export of whittle:policy/meta@0.1.0"));
    let without_hooks = r#"(component (instance $i) (export "whittle:policy/meta@0.1.0" (instance $i)))"#;
    assert_eq!(refused(&text(without_hooks)), "found a policy without hooks, expected at least one hook");
}

#[test]
fn a_hook_with_other_types_is_refused() {
    let source = r#"(component
        (instance $i)
        (export "whittle:policy/meta@0.1.0" (instance $i))
        (export "whittle:policy/capacity@0.1.0" (instance $i)))"#;
    let refusal = refused(&text(source));
    assert!(refusal.ends_with("expected functions as wit/v0.1 has them"), "{refusal}");
}

#[test]
fn more_of_the_language_than_policies_may_use_is_refused() {
    let cases = [
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (memory 1) (memory 1))",
        "(module (tag))",
        "(module (type (struct)))",
    ];
    for source in cases {
        let refusal = refused(&text(source));
        assert!(refusal.contains("expected valid WebAssembly without"), "{source}: {refusal}");
    }
}

#[test]
fn a_component_of_many_components_is_refused() {
    let refusal = refused(&text(&format!("(component {})", "(component)".repeat(17))));
    assert_eq!(refusal, "found a component of more components, expected at most 16");
}

#[test]
fn whoever_lies_about_itself_is_refused() {
    let refusal = refused(&module("liar"));
    assert!(refusal.starts_with("found a schema of the settings of 100"), "{refusal}");
    assert!(refusal.ends_with("expected at most 65536"), "{refusal}");
}
