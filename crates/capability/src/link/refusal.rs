//! What a component finds where an authority was not granted but every language imports it: a trap that says so.
//!
//! In: the imported interface, as the component types it. Out: the same functions, each ending the invocation with the component,
//! the call and the line to add. A constant instead would be believed by code that checks expiry or makes keys.

use std::sync::Arc;

use thiserror::Error;
use wasmtime::component::{
    Component, Linker,
    types::{ComponentFunc, ComponentItem},
};

use super::{Authority, Import, Linked};
use crate::guest::Guest;

/// The error with which an invocation ends that used what was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "component {component} called {call}, which is not granted; add to [component.{component}.grants]: {line}"
)]
pub struct NotGranted {
    /// Who called.
    pub component: String,
    /// What, as `wasi:clocks/wall-clock@0.2.0#now`.
    pub call: String,
    /// The line that would allow it.
    pub line: &'static str,
}

/// Whether this import is linked to refusals. Types alone are no authority.
pub(super) fn is_withheld(import: &Import<'_>, authority: &Authority) -> bool {
    line(import, authority).is_some()
}

fn line(import: &Import<'_>, authority: &Authority) -> Option<&'static str> {
    match (import.package, import.interface) {
        ("wasi:clocks", "wall-clock" | "system-clock" | "monotonic-clock") if !authority.clock => {
            Some("clock = true")
        }
        ("wasi:random", "random") if !authority.randomness => Some("randomness = true"),
        _ => None,
    }
}

/// Links every function of the import to its refusal.
pub(super) fn link(
    linker: &mut Linker<Guest>,
    component: &Component,
    import: &Import<'_>,
    authority: &Authority,
) -> wasmtime::Result<Linked> {
    let engine = component.engine();
    let ty = component.component_type();
    let (Some(line), Some(ComponentItem::ComponentInstance(interface))) = (
        line(import, authority),
        ty.get_import(engine, import.name).map(|item| item.ty),
    ) else {
        return Ok(Linked::Unknown);
    };
    let mut instance = linker.instance(import.name)?;
    for (name, item) in interface.exports(engine) {
        let ComponentItem::ComponentFunc(function) = item.ty else {
            continue;
        };
        let refusal = Arc::new(NotGranted {
            component: authority.component.clone(),
            call: format!("{}#{name}", import.name),
            line,
        });
        refuse(&mut instance, name, &function, refusal)?;
    }
    Ok(Linked::Yes)
}

fn refuse(
    instance: &mut wasmtime::component::LinkerInstance<'_, Guest>,
    name: &str,
    function: &ComponentFunc,
    refusal: Arc<NotGranted>,
) -> wasmtime::Result<()> {
    let error = move || wasmtime::Error::new(NotGranted::clone(&refusal));
    if function.async_() {
        instance.func_new_concurrent(name, move |_, _, _, _| {
            let error = error();
            Box::pin(async move { Err(error) })
        })
    } else {
        instance.func_new(name, move |_, _, _, _| Err(error()))
    }
}
