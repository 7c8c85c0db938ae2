//! `wasi:logging` translated to lines.

use wasmtime::component::{HasData, Linker};

use super::line::{Level, Source, Voice};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world logging { import wasi:logging/logging@0.1.0-draft; }",
        path: "../../wit/logging-0.1.0-draft",
        imports: { default: trappable },
        named_imports: { "wasi:logging/logging": crate::logging::host::Anyone },
    });
}

use bindings::{named_imports::wasi::logging::logging, wasi::logging::logging::Level as WitLevel};

/// Links `logging` under the name a component imports it by.
///
/// # Errors
/// When the name is already taken.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    name: &str,
    voice: fn(&mut T) -> &mut Voice,
) -> wasmtime::Result<()> {
    logging::add_to_linker_instance::<T, HasVoice>(&mut linker.instance(name)?, Anyone, voice)
}

/// The voice already knows who speaks.
#[derive(Clone, Copy)]
pub struct Anyone;

struct HasVoice;

impl HasData for HasVoice {
    type Data<'a> = &'a mut Voice;
}

/// What the host itself speaks under: a guest that uses one of these is said to be a guest.
const RESERVED: [&str; 2] = ["coracle", "held back"];

fn unreserved(context: String) -> String {
    if RESERVED.contains(&context.as_str()) {
        format!("guest: {context}")
    } else {
        context
    }
}

impl logging::Host for Voice {
    fn log(
        &mut self,
        _: Anyone,
        level: WitLevel,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        let level = match level {
            WitLevel::Trace => Level::Trace,
            WitLevel::Debug => Level::Debug,
            WitLevel::Info => Level::Info,
            WitLevel::Warn => Level::Warn,
            WitLevel::Error => Level::Error,
            WitLevel::Critical => Level::Critical,
        };
        self.say(
            Source::Log {
                level,
                context: unreserved(context),
            },
            &message,
        );
        Ok(())
    }
}
