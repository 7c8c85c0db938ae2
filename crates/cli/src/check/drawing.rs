//! What a drawing of an app shows. In: an app. Out: boxes and arrows, without places.

use coracle_compose::audit::{Destination, Object, Power, Route, Verb, powers};
use coracle_manifest::{App, app::Instance, name::ComponentName};

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Route,
    Component,
    Resource,
}

/// A box.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// An arrow between two boxes, by their places in the list.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What goes along it; several for several links or rights.
    pub(super) texts: Vec<String>,
    /// To an instance of its own.
    pub(super) own: bool,
}

/// Boxes and arrows; routes first, then components, then what they reach.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    pub(super) shapes: Vec<Shape>,
    pub(super) arrows: Vec<Arrow>,
}

impl Drawing {
    pub(super) fn of(app: &App) -> Self {
        let mut drawing = Self::default();
        for route in &app.routes {
            drawing.shape(Kind::Route, Route(route).text());
        }
        for name in app.components.keys() {
            drawing.shape(Kind::Component, name.to_string());
        }
        for route in &app.routes {
            let mut from = drawing.shape(Kind::Route, Route(route).text());
            for station in Route(route).stations() {
                let to = drawing.component(station);
                drawing.arrow(from, to, String::new(), false);
                from = to;
            }
        }
        for component in app.components.values() {
            let from = drawing.component(&component.name);
            for link in &component.links {
                let to = drawing.component(&link.component);
                let own = link.instance == Instance::Own;
                drawing.arrow(from, to, link.interface.to_string(), own);
            }
            for power in powers(app, component) {
                let (resource, text) = said(&power);
                let to = drawing.shape(Kind::Resource, resource);
                drawing.arrow(from, to, text, false);
            }
        }
        drawing
    }

    fn component(&mut self, name: &ComponentName) -> usize {
        self.shape(Kind::Component, name.to_string())
    }

    /// The box with this text, drawn when it is not there.
    fn shape(&mut self, kind: Kind, text: String) -> usize {
        let same = |shape: &Shape| shape.kind == kind && shape.text == text;
        if let Some(found) = self.shapes.iter().position(same) {
            return found;
        }
        self.shapes.push(Shape { kind, text });
        self.shapes.len() - 1
    }

    fn arrow(&mut self, from: usize, to: usize, text: String, own: bool) {
        let same = |arrow: &&mut Arrow| (arrow.from, arrow.to, arrow.own) == (from, to, own);
        let texts: Vec<String> = Some(text).into_iter().filter(|t| !t.is_empty()).collect();
        match self.arrows.iter_mut().find(same) {
            Some(arrow) => arrow.texts.extend(texts),
            None => self.arrows.push(Arrow {
                from,
                to,
                texts,
                own,
            }),
        }
    }
}

/// The box of what a power reaches, and what stands at the arrow to it.
fn said(power: &Power) -> (String, String) {
    let verb = match &power.verb {
        Verb::Read => "read",
        Verb::Write => "write",
        Verb::Send(Some(method)) => method,
        Verb::Send(None) => "any method",
        Verb::Hold => "hold",
        Verb::Reveal => "reveal",
        Verb::Use => "",
    };
    match &power.object {
        Object::Bucket { bucket, prefix } if prefix.is_empty() => {
            (format!("bucket {bucket}"), verb.into())
        }
        Object::Bucket { bucket, prefix } => {
            (format!("bucket {bucket}"), format!("{verb} {prefix:?}"))
        }
        Object::Http(to) => (host(to), format!("{verb} {}", to.path)),
        Object::Header { secret, header, to } => (
            format!("secret {secret}"),
            format!("as {header} to {}, unseen", to.host),
        ),
        Object::Secret(name) => (format!("secret {name}"), verb.into()),
        Object::Directory(dir) => (format!("directory {}", dir.text()), verb.into()),
        Object::Clock => ("clocks".into(), String::new()),
        Object::Randomness => ("randomness".into(), String::new()),
    }
}

fn host(to: &Destination) -> String {
    format!("host {}", to.authority())
}
