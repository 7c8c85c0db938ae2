//! Takes the shim out of a component: a core module that exists only because functions are needed before there is a memory to lower them with.
//!
//! Tools build a component from one module, the program, and two of their own: a *shim* whose functions jump through a table, with which the
//! program is instantiated, and a *fixup* that fills this table when the program's memory is there. Every request would instantiate all
//! three. Here the jumps and the table move into the program, word for word, and the shim is not instantiated any more.
//!
//! In: a valid component. Out: the same one without its shims, nested components included; nothing where none was found or anything is
//! not exactly as expected. Whoever compiles the result validates it like any other.

use std::{collections::HashMap, fmt};

use wasm_encoder::{
    Component as Encoded, ComponentSectionId, ExportKind, Function, ImportSection, Module, NameMap,
    NameSection, RawSection, RefType, TableType,
    reencode::{Error, Reencode, ReencodeComponent, component_utils, utils},
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef, CompositeInnerType, CustomSectionReader, ExternalKind, FunctionBody, Imports,
    Instance, KnownCustom, Name, Operator, Parser, Payload, TypeRef,
};

/// Under which name tools export the table of a shim.
const TABLE: &str = "$imports";
/// Changes when the same component comes out differently.
pub(crate) const VERSION: &[u8] = b"without shims 1";
/// Components nested deeper stay as they are.
const MAX_DEPTH: u32 = 8;

/// This component without its shims; none if it has none that can be taken out.
pub(crate) fn without_shims(component: &[u8]) -> Option<Vec<u8>> {
    rewrite(component, 0)
}

fn rewrite(component: &[u8], depth: u32) -> Option<Vec<u8>> {
    let plan = Plan::of(component);
    let mut rewriting = Rewriting {
        changed: plan.is_some(),
        plan,
        modules: 0,
        instances: 0,
        depth,
    };
    let mut rewritten = Encoded::new();
    rewriting
        .parse_component(&mut rewritten, Parser::new(0), component)
        .ok()?;
    rewriting.changed.then(|| rewritten.finish())
}

/// Something is not as it is in what tools build.
#[derive(Debug)]
struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not built as expected")
    }
}

impl std::error::Error for Unfit {}

/// A shim that can be taken out of one component, and the program that takes it over.
struct Plan {
    /// The core instance of the shim, and how many functions it has.
    shim: u32,
    slots: u32,
    /// The core module and core instance of the program.
    program: u32,
    instance: u32,
    /// Core functions that are aliases of the shim's, in order.
    aliases: Vec<u32>,
    /// What the program imports of the shim: module and name, to slot.
    imports: HashMap<(String, String), u32>,
}

/// What the core index spaces of a component hold, as far as it matters here.
#[derive(Default)]
struct Spaces<'a> {
    modules: Vec<&'a [u8]>,
    instances: Vec<Instance<'a>>,
    /// The core instance and name that a core function is an alias of.
    functions: Vec<Option<(u32, &'a str)>>,
    /// Aliases of core instances' other items: kind, instance, name, and how many instances there were.
    others: Vec<(ExternalKind, u32, &'a str, usize)>,
}

impl Plan {
    fn of(component: &[u8]) -> Option<Self> {
        let spaces = Spaces::read(component)?;
        let mut shims = (0..)
            .zip(&spaces.instances)
            .filter_map(|(index, instance)| {
                let Instance::Instantiate { module_index, args } = instance else {
                    return None;
                };
                let module = spaces.modules.get(*module_index as usize)?;
                let slots = args.is_empty().then(|| slots(module)).flatten()?;
                Some((index, slots))
            });
        let (shim, slots) = shims.next()?;
        if shims.next().is_some() {
            return None;
        }
        spaces.plan(shim, slots)
    }
}

impl<'a> Spaces<'a> {
    fn read(component: &'a [u8]) -> Option<Self> {
        let mut spaces = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload.ok()? {
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    if depth == 0 {
                        spaces.modules.push(component.get(unchecked_range)?);
                    }
                    depth += 1;
                }
                Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                payload => spaces.note(payload)?,
            }
        }
        Some(spaces)
    }

    fn note(&mut self, payload: Payload<'a>) -> Option<()> {
        match payload {
            // A module from elsewhere would shift the ones that are here.
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    if let ComponentTypeRef::Module(_) = import.ok()?.ty {
                        return None;
                    }
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.instances.push(instance.ok()?);
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    if !matches!(function.ok()?, CanonicalFunction::Lift { .. }) {
                        self.functions.push(None);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.note_alias(alias.ok()?)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn note_alias(&mut self, alias: ComponentAlias<'a>) -> Option<()> {
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index,
                name,
            } => self.functions.push(Some((instance_index, name))),
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => self
                .others
                .push((kind, instance_index, name, self.instances.len())),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            }
            | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                ..
            } => return None,
            _ => {}
        }
        Some(())
    }

    fn plan(&self, shim: u32, slots: u32) -> Option<Plan> {
        // Which instances hand functions of the shim on, and under which names.
        let mut handed: HashMap<u32, Vec<(&str, u32)>> = HashMap::new();
        for (index, instance) in (0..).zip(&self.instances) {
            let Instance::FromExports(exports) = instance else {
                continue;
            };
            for export in exports
                .iter()
                .filter(|export| export.kind == ExternalKind::Func)
            {
                if let Some((from, name)) = *self.functions.get(export.index as usize)?
                    && from == shim
                {
                    let slot = name.parse().ok().filter(|slot| *slot < slots)?;
                    handed.entry(index).or_default().push((export.name, slot));
                }
            }
        }
        let mut program = None;
        for (index, instance) in (0..).zip(&self.instances) {
            let Instance::Instantiate { module_index, args } = instance else {
                continue;
            };
            if args.iter().any(|arg| arg.index == shim) {
                return None;
            }
            if args.iter().any(|arg| handed.contains_key(&arg.index))
                && program.replace((index, *module_index, args)).is_some()
            {
                return None;
            }
        }
        let (instance, program, args) = program?;
        let instantiated = self.instances.iter().filter(
            |one| matches!(one, Instance::Instantiate { module_index, .. } if *module_index == program),
        );
        if instantiated.count() != 1 {
            return None;
        }
        // The table, and nothing else, is aliased once the program is there.
        let table_only =
            self.others
                .iter()
                .filter(|other| other.1 == shim)
                .all(|(kind, _, name, instances)| {
                    *kind == ExternalKind::Table && *name == TABLE && *instances > instance as usize
                });
        let mut imports = HashMap::new();
        for arg in args.iter() {
            for (name, slot) in handed.get(&arg.index).into_iter().flatten() {
                imports.insert((arg.name.to_string(), (*name).to_string()), *slot);
            }
        }
        let aliases = (0..)
            .zip(&self.functions)
            .filter(|(_, from)| from.is_some_and(|(from, _)| from == shim))
            .map(|(index, _)| index);
        table_only.then(|| Plan {
            shim,
            slots,
            program,
            instance,
            aliases: aliases.collect(),
            imports,
        })
    }
}

/// How many functions this module has, if it is a shim: each does nothing but jump through the table to the same index.
fn slots(module: &[u8]) -> Option<u32> {
    let mut parameters = Vec::new();
    let mut types = Vec::new();
    let (mut bodies, mut functions, mut tables) = (0_u32, 0_u32, Vec::new());
    let mut table_is_exported = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::Version { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::CustomSection(_)
            | Payload::End(_) => {}
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group.ok()?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            return None;
                        };
                        parameters.push(u32::try_from(ty.params().len()).ok()?);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    types.push(ty.ok()?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    tables.push(table.ok()?.ty);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    match export.kind {
                        ExternalKind::Func if export.name.parse() == Ok(export.index) => {
                            functions += 1;
                        }
                        ExternalKind::Table if export.name == TABLE => table_is_exported = true,
                        _ => return None,
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let ty = *types.get(bodies as usize)?;
                jumps(&body, bodies, ty, *parameters.get(ty as usize)?)?;
                bodies += 1;
            }
            _ => return None,
        }
    }
    let [table] = tables.as_slice() else {
        return None;
    };
    let whole = table.element_type == wasmparser::RefType::FUNCREF
        && !table.table64
        && !table.shared
        && table.initial == u64::from(bodies)
        && table.maximum == Some(u64::from(bodies));
    (whole && table_is_exported && functions == bodies).then_some(bodies)
}

/// Whether this is a jump with all parameters to what is at `slot` of the first table.
fn jumps(body: &FunctionBody<'_>, slot: u32, ty: u32, parameters: u32) -> Option<()> {
    let mut instructions = body.get_operators_reader().ok()?;
    let mut is = |expected: Operator<'_>| (instructions.read().ok()? == expected).then_some(());
    if body.get_locals_reader().ok()?.get_count() != 0 {
        return None;
    }
    for local_index in 0..parameters {
        is(Operator::LocalGet { local_index })?;
    }
    is(Operator::I32Const {
        value: i32::try_from(slot).ok()?,
    })?;
    is(Operator::CallIndirect {
        type_index: ty,
        table_index: 0,
    })?;
    is(Operator::End)
}

/// Writes a component again, its shim left out.
struct Rewriting {
    plan: Option<Plan>,
    /// How many core modules and core instances were met.
    modules: u32,
    instances: u32,
    depth: u32,
    changed: bool,
}

impl Reencode for Rewriting {
    type Error = Unfit;

    /// Of core functions of the component.
    fn function_index(&mut self, function: u32) -> Result<u32, Error<Unfit>> {
        let Some(plan) = &self.plan else {
            return Ok(function);
        };
        match plan.aliases.binary_search(&function) {
            Ok(_) => Err(Error::UserError(Unfit)),
            Err(before) => Ok(function - u32::try_from(before).unwrap_or(u32::MAX)),
        }
    }
}

impl ReencodeComponent for Rewriting {
    fn parse_component_submodule(
        &mut self,
        component: &mut Encoded,
        parser: Parser,
        module: &[u8],
    ) -> Result<(), Error<Unfit>> {
        let index = self.modules;
        self.modules += 1;
        match &self.plan {
            Some(plan) if plan.program == index => {
                let mut program = Program::read(plan, module).ok_or(Error::UserError(Unfit))?;
                let mut rewritten = Module::new();
                program.parse_core_module(&mut rewritten, parser, module)?;
                if !program.is_whole() {
                    return Err(Error::UserError(Unfit));
                }
                component.section(&wasm_encoder::ModuleSection(&rewritten));
            }
            _ => as_it_is(component, ComponentSectionId::CoreModule, module),
        }
        Ok(())
    }

    fn parse_component_subcomponent(
        &mut self,
        component: &mut Encoded,
        _: Parser,
        nested: &[u8],
        _: &[u8],
    ) -> Result<(), Error<Unfit>> {
        let deeper = self.depth + 1;
        let rewritten = (deeper < MAX_DEPTH)
            .then(|| rewrite(nested, deeper))
            .flatten();
        self.changed |= rewritten.is_some();
        let nested = rewritten.as_deref().unwrap_or(nested);
        as_it_is(component, ComponentSectionId::Component, nested);
        Ok(())
    }

    /// Names of index spaces that are not the same any more.
    fn parse_component_custom_section(
        &mut self,
        _: &mut Encoded,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        Ok(())
    }

    fn parse_component_alias_section(
        &mut self,
        aliases: &mut wasm_encoder::ComponentAliasSection,
        section: wasmparser::ComponentAliasSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        for alias in section {
            let alias = alias?;
            let of_shim = match (&self.plan, &alias) {
                (
                    Some(plan),
                    ComponentAlias::CoreInstanceExport {
                        kind,
                        instance_index,
                        ..
                    },
                ) if *instance_index == plan.shim => Some((*kind, plan.instance)),
                _ => None,
            };
            match of_shim {
                None => {
                    aliases.alias(self.component_alias(alias)?);
                }
                Some((ExternalKind::Table, instance)) => {
                    aliases.alias(wasm_encoder::Alias::CoreInstanceExport {
                        instance,
                        kind: ExportKind::Table,
                        name: TABLE,
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn parse_instance(
        &mut self,
        instances: &mut wasm_encoder::InstanceSection,
        instance: Instance<'_>,
    ) -> Result<(), Error<Unfit>> {
        let index = self.instances;
        self.instances += 1;
        match (&self.plan, instance) {
            // Nothing in its place, so that the others keep their indices.
            (Some(plan), _) if plan.shim == index => {
                instances.export_items::<[(&str, ExportKind, u32); 0], &str>([]);
                Ok(())
            }
            (Some(plan), Instance::FromExports(exports)) => {
                let kept = exports
                    .iter()
                    .filter(|export| {
                        export.kind != ExternalKind::Func
                            || plan.aliases.binary_search(&export.index).is_err()
                    })
                    .copied()
                    .collect();
                component_utils::parse_instance(self, instances, Instance::FromExports(kept))
            }
            (_, instance) => component_utils::parse_instance(self, instances, instance),
        }
    }
}

fn as_it_is(component: &mut Encoded, id: ComponentSectionId, data: &[u8]) {
    component.section(&RawSection {
        id: id.into(),
        data,
    });
}

/// Writes the program again, with the jumps and the table of the shim.
struct Program {
    /// For each imported function, its slot if it was the shim's.
    imported: Vec<Option<u32>>,
    /// Type and slot of each jump, in the order in which they are written, and how many parameters it has.
    jumps: Vec<(u32, u32)>,
    parameters: Vec<u32>,
    defined: u32,
    tables: u32,
    slots: u32,
    imports: HashMap<(String, String), u32>,
    /// How many of the sections were there that the jumps are written to: functions, tables, exports, code.
    written: u8,
}

impl Program {
    fn read(plan: &Plan, module: &[u8]) -> Option<Self> {
        let mut program = Self {
            imported: Vec::new(),
            jumps: Vec::new(),
            parameters: Vec::new(),
            defined: 0,
            tables: 0,
            slots: plan.slots,
            imports: plan.imports.clone(),
            written: 0,
        };
        let mut types = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group.ok()?.into_types() {
                            types.push(match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => {
                                    u32::try_from(ty.params().len()).ok()?
                                }
                                _ => 0,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports {
                        let Imports::Single(_, import) = import.ok()? else {
                            return None;
                        };
                        program.note(import.module, import.name, import.ty);
                    }
                }
                Payload::FunctionSection(functions) => program.defined = functions.count(),
                Payload::TableSection(tables) => program.tables += tables.count(),
                Payload::ExportSection(exports) => {
                    for export in exports {
                        if export.ok()?.name == TABLE {
                            return None;
                        }
                    }
                }
                _ => {}
            }
        }
        for (ty, _) in &program.jumps {
            program.parameters.push(*types.get(*ty as usize)?);
        }
        (program.jumps.len() == program.imports.len()).then_some(program)
    }

    fn note(&mut self, module: &str, name: &str, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) => {
                let slot = self.slot(module, name);
                self.jumps.extend(slot.map(|slot| (ty, slot)));
                self.imported.push(slot);
            }
            TypeRef::Table(_) => self.tables += 1,
            _ => {}
        }
    }

    fn slot(&self, module: &str, name: &str) -> Option<u32> {
        let key = (module.to_string(), name.to_string());
        self.imports.get(&key).copied()
    }

    fn names(
        &mut self,
        names: wasmparser::NameSectionReader<'_>,
    ) -> Result<NameSection, Error<Unfit>> {
        let mut written = NameSection::new();
        for name in names {
            match name? {
                Name::Module { name, .. } => written.module(name),
                Name::Function(functions) => {
                    let mut all = Vec::new();
                    for naming in functions {
                        let naming = naming?;
                        all.push((self.function_index(naming.index)?, naming.name));
                    }
                    all.sort_unstable();
                    let mut map = NameMap::new();
                    for (index, name) in all {
                        map.append(index, name);
                    }
                    written.functions(&map);
                }
                _ => {}
            }
        }
        Ok(written)
    }

    fn is_whole(&self) -> bool {
        self.written == 4
    }

    /// Functions keep their order: imported, defined, and then the jumps.
    fn place(&self, function: u32) -> Option<u32> {
        let index = |count: usize| u32::try_from(count).ok();
        let (imported, jumps) = (index(self.imported.len())?, index(self.jumps.len())?);
        let Some(slot) = self.imported.get(function as usize) else {
            return function.checked_sub(jumps);
        };
        let before = self.imported.get(..function as usize)?;
        let jumps_before = index(before.iter().flatten().count())?;
        Some(match slot {
            None => function - jumps_before,
            Some(_) => imported - jumps + self.defined + jumps_before,
        })
    }
}

impl Reencode for Program {
    type Error = Unfit;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Unfit>> {
        self.place(function).ok_or(Error::UserError(Unfit))
    }

    fn parse_imports(
        &mut self,
        section: &mut ImportSection,
        imports: Imports<'_>,
    ) -> Result<(), Error<Unfit>> {
        match &imports {
            Imports::Single(_, import)
                if matches!(import.ty, TypeRef::Func(_))
                    && self.slot(import.module, import.name).is_some() =>
            {
                Ok(())
            }
            _ => utils::parse_imports(self, section, imports),
        }
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        utils::parse_function_section(self, functions, section)?;
        for (ty, _) in &self.jumps {
            functions.function(*ty);
        }
        self.written += 1;
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        tables: &mut wasm_encoder::TableSection,
        section: wasmparser::TableSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        utils::parse_table_section(self, tables, section)?;
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: u64::from(self.slots),
            maximum: Some(u64::from(self.slots)),
            table64: false,
            shared: false,
        });
        self.written += 1;
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(TABLE, ExportKind::Table, self.tables);
        self.written += 1;
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        utils::parse_code_section(self, code, section)?;
        for ((ty, slot), parameters) in self.jumps.iter().zip(&self.parameters) {
            let mut jump = Function::new([]);
            let mut body = jump.instructions();
            for local in 0..*parameters {
                body.local_get(local);
            }
            body.i32_const(i32::try_from(*slot).map_err(|_| Error::UserError(Unfit))?)
                .call_indirect(self.tables, *ty)
                .end();
            code.function(&jump);
        }
        self.written += 1;
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Unfit>> {
        // Messages about traps use names; everything else is about bytes that are elsewhere now.
        if let KnownCustom::Name(names) = section.as_known() {
            module.section(&self.names(names)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
