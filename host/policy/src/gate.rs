//! What a file has to be before anything of it is compiled: WebAssembly of a bearable size, with our interface and
//! nothing besides.
//!
//! The gate reads and counts; it runs nothing. A core module is made a component here, from the interface that the SDK
//! puts into a custom section. Whether functions have the right types is found when the component is linked.

use std::collections::BTreeSet;
use std::fmt;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use whittle_core::advice::Hook;
use wit_component::ComponentEncoder;

use crate::limits::{COMPONENTS_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX, MODULE_BYTES_MAX, MODULES_MAX};
use crate::v0_1;

/// Why a file is not taken as a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// A file that passed: a component, and what it says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The component.
    pub component: Vec<u8>,
    /// The hooks that it exports.
    pub hooks: BTreeSet<Hook>,
    /// The interfaces that it imports, by full name.
    pub imports: Vec<String>,
    /// The interfaces that it exports, by full name.
    pub exports: Vec<String>,
    /// How many functions it has.
    pub functions: u32,
    /// Whether the file was a core module.
    pub was_module: bool,
}

/// How to build what the gate takes.
const BUILD: &str =
    "a policy built with `cargo build --release --target wasm32-unknown-unknown`, or a component";

/// Looks at a file.
///
/// # Errors
/// With what was found and what was expected.
pub fn pass(bytes: &[u8]) -> Result<Passed, Refusal> {
    if bytes.len() > MODULE_BYTES_MAX {
        let expected = format!("at most {} MiB", MODULE_BYTES_MAX >> 20);
        return Err(Refusal::new(format!("{} bytes", bytes.len()), expected));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Refusal::new(nature(bytes), BUILD));
    }
    let was_module = Parser::is_core_wasm(bytes);
    if !was_module && !Parser::is_component(bytes) {
        return Err(Refusal::new("WebAssembly of an unknown version", BUILD));
    }
    let functions = measure(bytes)?;
    validate(bytes)?;
    let component = if was_module { componentized(bytes)? } else { bytes.to_vec() };
    let (imports, exports) = names(&component)?;
    imports.iter().try_for_each(|name| check_import(name))?;
    let hooks = hooks(&exports)?;
    Ok(Passed { component, hooks, imports, exports, functions, was_module })
}

/// What a file that is not WebAssembly seems to be.
fn nature(bytes: &[u8]) -> String {
    let text = str::from_utf8(bytes.get(..64).unwrap_or(bytes));
    match (bytes, text) {
        ([], _) => "an empty file".to_owned(),
        ([b'P', b'K', ..], _) => "a zip archive".to_owned(),
        ([0x1f, 0x8b, ..], _) => "a gzip archive".to_owned(),
        ([0x7f, b'E', b'L', b'F', ..], _) => "a native program".to_owned(),
        (_, Ok(text)) if text.trim_start().starts_with('(') => "WebAssembly as text".to_owned(),
        (_, Ok(_)) => "text".to_owned(),
        (_, Err(_)) => "bytes that are not WebAssembly".to_owned(),
    }
}

/// Counts what makes a compiler work, and stops at what is too much. Returns the number of functions.
fn measure(bytes: &[u8]) -> Result<u32, Refusal> {
    let (mut functions, mut modules, mut components) = (0_u32, 0_u32, 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| malformed(&error))? {
            Payload::CodeSectionStart { count, .. } => {
                functions = functions.saturating_add(count);
                if functions > FUNCTIONS_MAX {
                    let expected = format!("at most {FUNCTIONS_MAX}");
                    return Err(Refusal::new(format!("{functions} functions"), expected));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let size = range.end - range.start;
                if size > FUNCTION_BYTES_MAX as u64 {
                    let expected = format!("at most {} KiB", FUNCTION_BYTES_MAX >> 10);
                    return Err(Refusal::new(format!("a function of {size} bytes"), expected));
                }
            }
            Payload::ModuleSection { .. } => {
                modules += 1;
                if modules > MODULES_MAX {
                    let expected = format!("at most {MODULES_MAX}");
                    return Err(Refusal::new("a component of more modules", expected));
                }
            }
            // One for each interface that is exported is how toolchains give its types their names.
            Payload::ComponentSection { .. } => {
                components += 1;
                if components > COMPONENTS_MAX {
                    let expected = format!("at most {COMPONENTS_MAX}");
                    return Err(Refusal::new("a component of more components", expected));
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    check_strings(&function.map_err(|error| malformed(&error))?)?;
                }
            }
            _ => {}
        }
    }
    Ok(functions)
}

/// Strings in other encodings are decoded by code that few have looked at, and no toolchain here makes them.
fn check_strings(function: &wasmparser::CanonicalFunction) -> Result<(), Refusal> {
    use wasmparser::{CanonicalFunction, CanonicalOption};
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        _ => return Ok(()),
    };
    let is_foreign =
        |option: &CanonicalOption| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16);
    if options.iter().any(is_foreign) {
        return Err(Refusal::new("strings in UTF-16", "strings in UTF-8"));
    }
    Ok(())
}

/// Whether the file is well-formed, with no more of the language than the engine is set up for.
fn validate(bytes: &[u8]) -> Result<(), Refusal> {
    let features = WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::SIMD;
    Validator::new_with_features(features).validate_all(bytes).map(|_| ()).map_err(|error| malformed(&error))
}

fn malformed(error: &wasmparser::BinaryReaderError) -> Refusal {
    let found = format!("{} at byte {}", error.message(), error.offset());
    if error.message().starts_with("unexpected end") {
        return Refusal::new(format!("a file that ends too early ({found})"), "a whole one");
    }
    Refusal::new(found, "valid WebAssembly without threads, 64-bit memory, exceptions or garbage collection")
}

/// Makes a component of a core module.
fn componentized(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut has_interface = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| malformed(&error))? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(|error| malformed(&error))?;
                    check_core_import(import.module, import.name)?;
                }
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                has_interface = true;
            }
            _ => {}
        }
    }
    if !has_interface {
        let found = "a module that says nothing about its interface";
        return Err(Refusal::new(found, "one built with the SDK, which ends in `export_policy!`"));
    }
    let encoded =
        ComponentEncoder::default().validate(true).module(bytes).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| Refusal::new(format!("{error:#}"), "a module that has what its interface says"))
}

/// Imports of a core module bear the interface's name, or are the SDK's own affair.
fn check_core_import(module: &str, name: &str) -> Result<(), Refusal> {
    if module.contains(':') { check_import(module) } else { Err(not_ours(&format!("{module}.{name}"))) }
}

fn check_import(name: &str) -> Result<(), Refusal> {
    let Some((package, interface, version)) = parts(name) else { return Err(not_ours(name)) };
    if package != "whittle:policy" || !matches!(interface, "log" | "types") {
        return Err(not_ours(name));
    }
    check_version(name, version)
}

fn not_ours(name: &str) -> Refusal {
    let wasi = ["wasi:", "wasi_"].iter().any(|start| name.starts_with(start));
    let hint = if wasi {
        "no imports but whittle:policy/log: build for wasm32-unknown-unknown, which has no WASI"
    } else {
        "no imports but whittle:policy/log"
    };
    Refusal::new(format!("an import of {name}"), hint)
}

/// A host of 0.1 knows every 0.1 and nothing else: before 1.0 the second number is the one that breaks.
fn check_version(name: &str, version: &str) -> Result<(), Refusal> {
    let is_known =
        version == "0.1" || version.strip_prefix("0.1.").is_some_and(|patch| patch.parse::<u32>().is_ok());
    if is_known {
        return Ok(());
    }
    Err(Refusal::new(
        name,
        format!("version {} of the interface, the one that this host speaks", v0_1::VERSION),
    ))
}

/// `package:name/interface@version` in its parts.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = name.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some((package, interface, version))
}

/// The names of what a component imports and exports.
fn names(component: &[u8]) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| malformed(&error))? {
            // What the modules inside import and export is their own affair.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(|error| malformed(&error))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(|error| malformed(&error))?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// The hooks among the exports; refuses what the host does not know, because it would never be asked.
fn hooks(exports: &[String]) -> Result<BTreeSet<Hook>, Refusal> {
    let mut hooks = BTreeSet::new();
    let mut has_meta = false;
    for name in exports {
        let known = parts(name).filter(|(package, _, _)| *package == "whittle:policy");
        let Some((_, interface, version)) = known else {
            return Err(Refusal::new(format!("an export of {name}"), "exports of whittle:policy only"));
        };
        check_version(name, version)?;
        match Hook::from_name(interface) {
            Some(hook) => {
                hooks.insert(hook);
            }
            None if interface == "meta" => has_meta = true,
            None => {
                let known: Vec<_> = Hook::ALL.iter().map(|hook| hook.name()).collect();
                let expected = format!("meta and the hooks {}", known.join(", "));
                return Err(Refusal::new(format!("an export of {name}"), expected));
            }
        }
    }
    if !has_meta {
        let found = if exports.is_empty() { "no exports".to_owned() } else { exports.join(", ") };
        return Err(Refusal::new(found, format!("an export of whittle:policy/meta@{}", v0_1::VERSION)));
    }
    if hooks.is_empty() {
        return Err(Refusal::new("a policy without hooks", "at least one hook"));
    }
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> String {
        pass(bytes).unwrap_err().found
    }

    #[test]
    fn what_is_not_webassembly_is_called_by_its_name() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "an empty file"),
            (b"PK\x03\x04rest", "a zip archive"),
            (b"\x7fELF\x02", "a native program"),
            (b"(module)", "WebAssembly as text"),
            (b"policies: []", "text"),
            (b"\xff\xfe\xfd", "bytes that are not WebAssembly"),
            (b"\0asm\x05\0\0\0", "WebAssembly of an unknown version"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(found(bytes), expected);
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_even_read() {
        assert_eq!(found(&vec![0; MODULE_BYTES_MAX + 1]), "16777217 bytes");
    }

    #[test]
    fn a_module_of_nobody_says_how_to_build_one() {
        let refusal = pass(b"\0asm\x01\0\0\0").unwrap_err();
        assert_eq!(refusal.expected, "one built with the SDK, which ends in `export_policy!`");
    }

    #[test]
    fn versions_that_the_host_does_not_speak_are_refused() {
        for (name, is_known) in
            [("x@0.1.0", true), ("x@0.1.7", true), ("x@0.1", true), ("x@0.2.0", false), ("x@1.0.0", false)]
        {
            let version = name.split_once('@').unwrap().1;
            assert_eq!(check_version(name, version).is_ok(), is_known, "{name}");
        }
    }
}
