//! Generates the size in memory of every message that a request can contain, for the limits on the wire.

use std::{collections::BTreeMap, error::Error, fmt::Write};

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use super::rust_path;

/// The table `SIZES`: the full name of each message, and the bytes that its Rust type takes without what it points to.
pub fn table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut types = BTreeMap::new();
    let services = pool.services().filter(|service| service.package_name() == "readout.v1");
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        visit(&method.input(), &mut types)?;
    }
    let mut code = format!("const SIZES: [(&str, usize); {}] = [\n", types.len());
    for (name, ty) in &types {
        writeln!(code, "    ({name:?}, size_of::<{ty}>()),")?;
    }
    code.push_str("];\n");
    Ok(code)
}

fn visit(message: &MessageDescriptor, types: &mut BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
    if !message.is_map_entry() {
        let ty = match message.package_name() {
            "readout.v1" | "google.type" => rust_path(message),
            "google.protobuf" => format!("prost_types::{}", message.name()),
            package => return Err(format!("add the Rust path of {package} to build/sizes.rs").into()),
        };
        if types.insert(message.full_name().to_owned(), ty).is_some() {
            return Ok(());
        }
    }
    for field in message.fields() {
        if let Kind::Message(part) = field.kind() {
            visit(&part, types)?;
        }
    }
    Ok(())
}
