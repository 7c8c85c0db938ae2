//! `links = { … }` of a component. In: its table. Out: links as written, their interfaces checked; the components are not looked up yet.

use toml::Spanned;

use crate::{
    app::Instance,
    interface::InterfaceName,
    problem::quote,
    reader::{Reader, Shape, Table, TextOrTable},
};

/// A link as written.
#[derive(Debug)]
pub(crate) struct Link {
    /// The import, as written.
    pub(crate) key: Spanned<String>,
    pub(crate) interface: Option<InterfaceName>,
    pub(crate) component: Spanned<String>,
    pub(crate) instance: Instance,
}

const LINK: Shape = Shape {
    known: &[
        ("component", "component = \"payments\""),
        ("instance", "instance = \"own\""),
    ],
    later: &[],
};

impl Link {
    pub(super) fn read_all(reader: &mut Reader<'_>, component: &Table<'_>) -> Vec<Self> {
        let mut links: Vec<Self> = Vec::new();
        for (key, target) in reader.texts_or_tables(component, "links", &LINK) {
            let interface = interface(reader, &key);
            let (component, instance) = match target {
                TextOrTable::Text(text) => (Some(text), Instance::Shared),
                TextOrTable::Table(table) => {
                    let instance = instance(reader, &table);
                    (reader.required(&table, "component"), instance)
                }
            };
            if let Some(interface) = &interface {
                answered_before(reader, &links, &key, interface);
            }
            if let Some(component) = component {
                links.push(Self {
                    key,
                    interface,
                    component,
                    instance,
                });
            }
        }
        links
    }
}

fn interface(reader: &mut Reader<'_>, key: &Spanned<String>) -> Option<InterfaceName> {
    let parsed = InterfaceName::parse(key.get_ref());
    let error = match parsed {
        Ok(interface) => return Some(interface),
        Err(error) => error,
    };
    let message = format!("{} is not an interface: {error}", quote(key.get_ref()));
    let fix = "write the import as the component's WIT has it, as in `\"shop:auth/tokens\"`; the version may be left out";
    reader.report("interface", key.span(), message, "", fix);
    None
}

fn instance(reader: &mut Reader<'_>, table: &Table<'_>) -> Instance {
    let Some(text) = reader.string(table, "instance") else {
        return Instance::Shared;
    };
    match text.get_ref().as_str() {
        "shared" => {}
        "own" => return Instance::Own,
        other => {
            let message = format!("{} is not an instance", quote(other));
            let fix = "write `shared`, which all links with this word have in common, or `own`";
            reader.report("instance", text.span(), message, "", fix);
        }
    }
    Instance::Shared
}

fn answered_before(
    reader: &mut Reader<'_>,
    links: &[Link],
    key: &Spanned<String>,
    interface: &InterfaceName,
) {
    let meets = |link: &&Link| link.interface.as_ref().is_some_and(|i| i.meets(interface));
    if let Some(first) = links.iter().find(meets) {
        let message = format!("two links answer the import {}", quote(interface.path()));
        let fix = "keep one of them, or give each its version: `\"shop:auth/tokens@1.0.0\"`";
        reader.report("same-import", key.span(), message, "again here", fix);
        reader.relate(first.key.span(), "first here");
    }
}
