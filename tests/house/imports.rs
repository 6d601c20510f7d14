//! The imports between the files of `src/`, read from the syntax of the code.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemMod, ItemUse, UseTree, visit::Visit};

use crate::support::repository::File;

/// The name of a top-level module.
pub type Module = String;

/// The path of a module or an item, from the root of the crate.
type ItemPath = Vec<String>;

/// The import graph. An edge leads from a file to the file that defines what it uses. Edges between
/// a module and the modules below it are left out: a parent may use its children, and they may use it.
pub struct Imports {
    edges: BTreeMap<ItemPath, BTreeSet<ItemPath>>,
    /// Files by the names of the types that they define.
    types: BTreeMap<String, BTreeSet<String>>,
    modules: BTreeSet<Module>,
}

impl Imports {
    pub fn of(files: &[File]) -> Self {
        let parsed: BTreeMap<ItemPath, Paths> = files
            .iter()
            .filter(|file| !file.path.ends_with("main.rs"))
            .map(|file| (module_of(file), Paths::of(file)))
            .collect();
        let exports: BTreeMap<ItemPath, ItemPath> =
            parsed.values().flat_map(|paths| paths.exports.clone()).filter(|(name, target)| name != target).collect();
        let mut edges: BTreeMap<ItemPath, BTreeSet<ItemPath>> = BTreeMap::new();
        let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, paths) in &parsed {
            let targets = paths.used.iter().filter_map(|path| defining_file(path, &parsed, &exports));
            let targets = targets.filter(|target| !target.starts_with(module) && !module.starts_with(target));
            edges.entry(module.clone()).or_default().extend(targets);
            for name in &paths.types {
                types.entry(name.clone()).or_default().insert(module.join("::"));
            }
        }
        let modules = parsed.keys().filter_map(|module| module.first().cloned()).collect();
        Self { edges, types, modules }
    }

    /// The imports between top-level modules.
    pub fn between_modules(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut between: BTreeMap<Module, BTreeSet<Module>> =
            self.modules.iter().map(|module| (module.clone(), BTreeSet::new())).collect();
        for (from, targets) in &self.edges {
            let Some(from) = from.first() else { continue };
            let targets = targets.iter().filter_map(|to| to.first()).filter(|to| *to != from).cloned();
            between.entry(from.clone()).or_default().extend(targets);
        }
        between
    }

    /// Files from which a path of imports leads back to themselves.
    pub fn circles(&self) -> Vec<String> {
        let on_circle = self.edges.keys().filter(|module| self.reachable(module).contains(*module));
        on_circle.map(|module| module.join("::")).collect()
    }

    fn reachable(&self, from: &ItemPath) -> BTreeSet<&ItemPath> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&ItemPath> = self.edges[from].iter().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(self.edges.get(module).into_iter().flatten());
            }
        }
        reached
    }

    /// Names of types that more than two files define.
    pub fn shared_type_names(&self) -> Vec<String> {
        let shared = self.types.iter().filter(|(_, files)| files.len() > 2);
        shared
            .map(|(name, files)| format!("{name}: {}", files.iter().cloned().collect::<Vec<_>>().join(", ")))
            .collect()
    }
}

fn module_of(file: &File) -> ItemPath {
    let path = file.path.with_extension("");
    let parts = path.iter().skip(1).map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod" && part != "lib").collect()
}

/// The module that defines what a path names: the longest prefix that is a file, once re-exports are followed.
fn defining_file(
    path: &ItemPath,
    files: &BTreeMap<ItemPath, Paths>,
    exports: &BTreeMap<ItemPath, ItemPath>,
) -> Option<ItemPath> {
    let mut path = path.clone();
    // A re-export may lead to another one.
    for _ in 0..8 {
        let followed = (1..=path.len()).rev().find_map(|length| {
            let is_module = length < path.len() && files.contains_key(&path[..length]);
            let target = exports.get(&path[..length]).filter(|_| !is_module)?;
            Some([target.as_slice(), &path[length..]].concat())
        });
        match followed {
            Some(followed) => path = followed,
            None => break,
        }
    }
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|prefix| files.contains_key(prefix))
}

/// The paths of one file, from the root of the crate.
#[derive(Default)]
struct Paths {
    used: BTreeSet<ItemPath>,
    /// Names that `use` brings into a module, with their definitions. Children of the module see private ones as well.
    exports: BTreeMap<ItemPath, ItemPath>,
    types: BTreeSet<String>,
    /// The module that is being read.
    scope: ItemPath,
}

impl Paths {
    fn of(file: &File) -> Self {
        let syntax = syn::parse_file(&file.text).expect("the file compiles");
        let mut paths = Self { scope: module_of(file), ..Self::default() };
        for item in &syntax.items {
            match item {
                Item::Struct(item) => paths.types.insert(item.ident.to_string()),
                Item::Enum(item) => paths.types.insert(item.ident.to_string()),
                Item::Trait(item) => paths.types.insert(item.ident.to_string()),
                Item::Type(item) => paths.types.insert(item.ident.to_string()),
                _ => false,
            };
        }
        paths.visit_file(&syntax);
        paths
    }

    /// A path from the root of the crate; none if it begins elsewhere.
    fn absolute(&self, path: &[String]) -> Option<ItemPath> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.scope.clone(),
            "super" => self.scope[..self.scope.len().checked_sub(1)?].to_vec(),
            _ => return None,
        };
        let ups = rest.iter().take_while(|part| *part == "super").count();
        base.truncate(base.len().checked_sub(ups)?);
        base.extend(rest[ups..].iter().filter(|part| *part != "self").cloned());
        Some(base)
    }

    fn read_tree(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.read_tree(&path.tree, prefix);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.read_tree(tree, prefix.clone())),
            UseTree::Glob(_) => self.used.extend(self.absolute(&prefix)),
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.add_use(&prefix, name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                prefix.push(rename.ident.to_string());
                self.add_use(&prefix, rename.rename.to_string());
            }
        }
    }

    fn add_use(&mut self, path: &[String], name: String) {
        let Some(target) = self.absolute(path) else { return };
        let name = if name == "self" { target.last().cloned().unwrap_or_default() } else { name };
        self.exports.insert([self.scope.as_slice(), &[name]].concat(), target.clone());
        self.used.insert(target);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.read_tree(&item.tree, Vec::new());
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.scope.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.scope.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.used.extend(self.absolute(&segments).filter(|_| segments.len() > 1));
        syn::visit::visit_path(self, path);
    }
}
