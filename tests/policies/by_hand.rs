//! Guests written by hand, as no toolchain would write them: a policy in another language than Rust, and guests that do
//! what the SDK gives nobody to do.

use whittle_core::advice::{Hook, Question, interruption};
use whittle_policy::canned::{NOW, questions};
use whittle_policy::limits::Limits;
use whittle_policy::module::{Consultation, Module};
use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::build::ENGINE;

/// A table that may grow.
const TABLE: &str = "(table $table 1 funcref)";

/// A policy that answers `interruption` with the default, as a core module with its interface in a custom section.
/// `head` stands before its functions, and `react` is done before it answers.
fn by_hand(head: &str, react: &str) -> Vec<u8> {
    let source = format!(
        r#"(module
  (memory (export "memory") 4)
  (global $next (mut i32) (i32.const 65536))
  {head}
  ;; Room for what the host passes in, one after the other; nothing is ever given back.
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $bytes i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $bytes)))
    (local.get $at))
  (data (i32.const 1024) "by-hand")
  (data (i32.const 1040) "0.1.0")
  (data (i32.const 1056) "Written by hand.")
  (data (i32.const 1088) "{{}}")
  ;; Four strings, each as its place and its length.
  (data (i32.const 16) "\00\04\00\00\07\00\00\00\10\04\00\00\05\00\00\00\20\04\00\00\10\00\00\00\40\04\00\00\02\00\00\00")
  (func (export "whittle:policy/meta@0.1.0#describe") (result i32) (i32.const 16))
  ;; Zeros: no complaint, and three empty lists of labels.
  (func (export "whittle:policy/meta@0.1.0#configure") (param i32 i32) (result i32) (i32.const 128))
  (func (export "whittle:policy/interruption@0.1.0#react")
    (param $now i64) (param $notices i32) (param $count i32) (result i32)
    {react}
    ;; As many zeros as there are notices.
    (i32.store (i32.const 256) (i32.const 2048))
    (i32.store (i32.const 260) (local.get $count))
    (i32.const 256)))"#
    );
    let mut module = wat::parse_str(source).unwrap();
    let mut resolve = Resolve::default();
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/v0.1");
    resolve.push_dir(place).unwrap();
    let world = "package test:by-hand;
        world by-hand { export whittle:policy/meta@0.1.0; export whittle:policy/interruption@0.1.0; }";
    let package = resolve.push_str("by-hand.wit", world).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

fn question() -> Question {
    questions(Hook::Interruption).into_iter().max_by_key(Question::len).unwrap()
}

fn consult(react: &str) -> Consultation {
    let module =
        Module::load(&ENGINE, None, &by_hand(TABLE, react)).unwrap_or_else(|refusal| panic!("{refusal}"));
    let reads = whittle_core::advice::words::Reads::default();
    module.consult(&ENGINE, ("{}", Limits::default().patient()), (&question(), &reads, NOW))
}

fn refused(head: &str) -> String {
    match Module::load(&ENGINE, None, &by_hand(head, "")) {
        Ok(module) => panic!("taken: {module:?}"),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn a_policy_in_another_language_answers() {
    let consultation = consult("");
    let defaults = vec![interruption::Reaction::Default; question().len()];
    assert_eq!(consultation.answer, Ok(whittle_core::advice::Answer::React(defaults)));
    let module = Module::load(&ENGINE, None, &by_hand("", "")).unwrap();
    assert_eq!((module.about.name.as_str(), module.about.version.as_str()), ("by-hand", "0.1.0"));
}

#[test]
fn a_table_may_grow_to_its_limit_and_no_further() {
    let grown = "(drop (table.grow $table (ref.null func) (i32.const 40000)))";
    assert!(consult(grown).answer.is_ok());
    let for_ever = "(loop $more (drop (table.grow $table (ref.null func) (i32.const 10000))) (br $more))";
    let fault = consult(for_ever).answer.unwrap_err().to_string();
    assert!(fault.starts_with("stopped: ") && fault.contains("table"), "{fault}");
}

#[test]
fn a_memory_grows_to_its_limit_and_no_further() {
    let for_ever = "(loop $more (drop (memory.grow (i32.const 64))) (br $more))";
    let fault = consult(for_ever).answer.unwrap_err().to_string();
    assert!(fault.starts_with("stopped: ") && fault.contains("memory"), "{fault}");
}

#[test]
fn a_guest_that_traps_before_it_is_asked_anything_is_not_taken() {
    let refusal = refused("(func $trap unreachable) (start $trap)");
    assert!(refusal.contains("unreachable"), "{refusal}");
    let refusal = refused("(func $spin (loop $more (br $more))) (start $spin)");
    assert!(refusal.contains("used up its fuel of 50000000"), "{refusal}");
}

#[test]
fn a_guest_that_wants_too_much_from_the_start_is_not_taken() {
    for (head, found) in [
        ("(table 60000 funcref)", "60000"),
        ("(table 1 funcref) (table 1 funcref)", "tables count of 2"),
        ("(memory 1)", "multiple memories"),
    ] {
        let refusal = refused(head);
        assert!(refusal.contains(found), "{refusal}");
    }
}

#[test]
fn an_answer_from_outside_the_memory_is_a_fault() {
    // A list that lies where there is no memory, and one whose enum is none.
    let outside = "(i32.store (i32.const 256) (i32.const -16)) (i32.store (i32.const 260) (local.get $count)) \
                   (return (i32.const 256))";
    let none = "(i32.store8 (i32.const 2048) (i32.const 77))";
    for react in [outside, none] {
        let fault = consult(react).answer.unwrap_err().to_string();
        assert!(fault.starts_with("stopped: "), "{fault}");
    }
}
