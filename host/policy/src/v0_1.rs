//! x

/// The interface.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "every-hook",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}
