//! Components as tools build them, written out small, run before and after.

use wasmtime::{
    Engine, Store,
    component::{Component, Linker},
};

use super::*;

/// A program that calls what it imports directly and through a table of its own, with the shim and the fixup around it.
const BUILT: &str = r#"
(component
  (import "length" (func $length (param "text" string) (result u32)))
  (import "seven" (func $seven (result u32)))
  (core module $program
    (type $text (func (param i32 i32) (result i32)))
    (import "host" "seven" (func $seven (result i32)))
    (import "host" "length" (func $length (type $text)))
    (memory (export "memory") 1)
    (table 2 2 funcref)
    (elem (i32.const 0) func $length $twice)
    (data (i32.const 0) "hello")
    (func $twice (type $text)
      (i32.mul (call $length (local.get 0) (local.get 1)) (i32.const 2)))
    (func (export "run") (result i32)
      (i32.add
        (call $seven)
        (i32.add
          (i32.mul (i32.const 10)
            (call_indirect (type $text) (i32.const 0) (i32.const 5) (i32.const 0)))
          (i32.mul (i32.const 100)
            (call_indirect (type $text) (i32.const 0) (i32.const 3) (i32.const 1)))))))
  (core module $shim
    (type $text (func (param i32 i32) (result i32)))
    (table (export "$imports") 1 1 funcref)
    (func (export "0") (type $text)
      local.get 0 local.get 1 i32.const 0 call_indirect (type $text)))
  (core module $fixup
    (type $text (func (param i32 i32) (result i32)))
    (import "" "0" (func (type $text)))
    (import "" "$imports" (table 1 1 funcref))
    (elem (i32.const 0) func 0))
  (core instance $s (instantiate $shim))
  (alias core export $s "0" (core func $jump))
  (core func $direct (canon lower (func $seven)))
  (core instance $host (export "length" (func $jump)) (export "seven" (func $direct)))
  (core instance $p (instantiate $program (with "host" (instance $host))))
  (alias core export $p "memory" (core memory $memory))
  (alias core export $s "$imports" (core table $table))
  (core func $lowered (canon lower (func $length) (memory $memory)))
  (core instance $args (export "$imports" (table $table)) (export "0" (func $lowered)))
  (core instance (instantiate $fixup (with "" (instance $args))))
  (alias core export $p "run" (core func $run))
  (func (export "run") (result u32) (canon lift (core func $run)))
)"#;

fn built(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    wat::parse_str(change(BUILT)).unwrap()
}

/// What `run` answers, and how many core instances that takes.
fn run(component: &[u8]) -> (u32, u32) {
    let engine = Engine::default();
    let component = Component::new(&engine, component).unwrap();
    let instances = component.resources_required().unwrap().num_memories;
    let mut linker = Linker::new(&engine);
    let mut root = linker.root();
    root.func_wrap("length", |_, (text,): (String,)| {
        Ok((u32::try_from(text.len())?,))
    })
    .unwrap();
    root.func_wrap("seven", |_, (): ()| Ok((7_u32,))).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance
        .get_typed_func::<(), (u32,)>(&mut store, "run")
        .unwrap();
    (run.call(&mut store, ()).unwrap().0, instances)
}

/// Core modules that a component instantiates itself.
fn instantiated(component: &[u8]) -> usize {
    let instances = Spaces::read(component).unwrap().instances;
    let modules = instances
        .iter()
        .filter(|instance| matches!(instance, Instance::Instantiate { .. }));
    modules.count()
}

#[test]
fn the_program_does_the_same_without_its_shim() {
    let built = built(str::to_string);
    let without = without_shims(&built).unwrap();
    assert_eq!(run(&built), run(&without));
    assert_eq!(run(&without).0, 7 + 10 * 5 + 100 * 2 * 3);
    assert_eq!((instantiated(&built), instantiated(&without)), (3, 2));
    assert_eq!(without_shims(&without), None, "there is nothing left to do");
}

#[test]
fn functions_keep_their_names() {
    let without = without_shims(&built(str::to_string)).unwrap();
    let program = Spaces::read(&without).unwrap().modules[0].to_vec();
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&program) {
        let Payload::CustomSection(section) = payload.unwrap() else {
            continue;
        };
        let KnownCustom::Name(section) = section.as_known() else {
            continue;
        };
        for name in section {
            if let Name::Function(functions) = name.unwrap() {
                names.extend(functions.into_iter().map(|naming| naming.unwrap()));
            }
        }
    }
    let names: Vec<_> = names
        .iter()
        .map(|naming| (naming.index, naming.name))
        .collect();
    assert_eq!(names, [(0, "seven"), (1, "twice"), (3, "length")]);
}

#[test]
fn a_nested_component_loses_its_shim_too() {
    let outer = |inner: &str| {
        let inner = inner.replacen("(component", "(component $inner", 1);
        format!(
            r#"(component
              (import "length" (func $length (param "text" string) (result u32)))
              (import "seven" (func $seven (result u32)))
              {inner}
              (instance $i (instantiate $inner (with "length" (func $length)) (with "seven" (func $seven))))
              (export "run" (func $i "run")))"#
        )
    };
    let built = built(outer);
    let without = without_shims(&built).unwrap();
    assert_eq!(run(&built), run(&without));
    assert!(without.len() < built.len());
}

#[test]
fn what_is_not_exactly_as_tools_build_it_stays() {
    let changes: [(&str, &str, &str); 5] = [
        (
            "a function that does more than jump",
            "local.get 0 local.get 1 i32.const 0 call_indirect",
            "local.get 0 local.get 0 i32.const 0 call_indirect",
        ),
        (
            "a table that may be longer",
            r#"(table (export "$imports") 1 1 funcref)"#,
            r#"(table (export "$imports") 1 2 funcref)"#,
        ),
        (
            "a shim that the program imports as it is",
            r#"(with "host" (instance $host))"#,
            r#"(with "host" (instance $host)) (with "shim" (instance $s))"#,
        ),
        (
            "a program that exports such a table itself",
            "(table 2 2 funcref)",
            r#"(table (export "$imports") 2 2 funcref)"#,
        ),
        (
            "a function of the shim that is used elsewhere",
            r#"(export "0" (func $lowered))"#,
            r#"(export "0" (func $lowered)) (export "1" (func $jump))"#,
        ),
    ];
    for (what, from, to) in changes {
        let changed = built(|text| {
            assert!(text.contains(from), "{what}");
            text.replacen(from, to, 1)
        });
        assert_eq!(without_shims(&changed), None, "{what}");
    }
}

#[test]
fn a_component_without_a_shim_stays() {
    let plain = wat::parse_str("(component (core module))").unwrap();
    assert_eq!(without_shims(&plain), None);
    assert_eq!(without_shims(b"no component"), None);
}
