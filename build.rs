//! Compiles the contract (no protoc needed). Writes to `OUT_DIR` the messages and services, the descriptors for
//! reflection, `rules.rs` (enforces the rules that the contract declares), `canonical.rs` (converts messages to their
//! canonical form), `sizes.rs` (the sizes of messages in memory) and `migrations.rs` (the schema).

#[path = "build/canonical.rs"]
mod canonical;
#[path = "build/rules.rs"]
mod rules;
#[path = "build/sizes.rs"]
mod sizes;

use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor};

/// The messages that a status carries as its details.
const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut files: Vec<_> =
        fs::read_dir("proto/readout/v1")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto", "proto/third_party"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;
    // No file imports these messages, since they occur only inside `Any`. Reflection needs them to decode a status.
    compiler.open_file(ERROR_DETAILS)?;

    // `file_descriptor_set()` would lose the custom options, and with them every declared rule.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("readout.fds"), &descriptors)?;

    let mut config = tonic_prost_build::Config::new();
    // Maps in key order, so that equal records have equal bytes.
    config.btree_map(["."]);
    let mut contract = compiler.file_descriptor_set();
    contract.file.retain(|file| !matches!(file.package(), "buf.validate" | "google.api"));
    tonic_prost_build::configure()
        .codec_path("crate::service::codec::Codec")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds_with_config(contract, config)?;

    let pool = DescriptorPool::decode(descriptors.as_slice())?;
    fs::write(out.join("rules.rs"), rules::impls(&pool)?)?;
    fs::write(out.join("sizes.rs"), sizes::table(&pool)?)?;
    fs::write(out.join("migrations.rs"), migrations()?)?;
    fs::write(out.join("canonical.rs"), canonical::impls(&pool)?)?;
    every_method_declares_its_callers(&pool)
}

/// The migrations as an array of `(version, description, statements)`, by version. `sqlx::migrate!` does the same, but
/// with sqlx's macros Cargo builds the driver, TLS and tokio a second time, for the compiler to run.
fn migrations() -> Result<String, Box<dyn Error>> {
    let mut files: Vec<_> =
        fs::read_dir("migrations")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut code = String::from("[\n");
    for file in files {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (version, name) = stem.split_once('_').ok_or_else(|| format!("{stem}: is not VERSION_NAME.sql"))?;
        let (version, path): (i64, _) = (version.parse()?, file.canonicalize()?);
        writeln!(code, "    ({version}, {:?}, include_str!({path:?})),", name.replace('_', " "))?;
    }
    code.push(']');
    Ok(code)
}

/// Fails the build on a method without a role, which would deny every caller, and on one with a higher role than READER
/// that does not declare the effect of scopes.
fn every_method_declares_its_callers(pool: &DescriptorPool) -> Result<(), Box<dyn Error>> {
    const READER: i32 = 1;
    let role = pool.get_extension_by_name("readout.v1.role").ok_or("role.proto is not among the files")?;
    let rule = pool.get_extension_by_name("readout.v1.scope_rule").ok_or("scope.proto is not among the files")?;
    let services = pool.services().filter(|service| service.package_name() == "readout.v1");
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        let [role, rule] = [&role, &rule].map(|option| options.get_extension(option).as_enum_number().unwrap_or(0));
        let problem = match (role, rule) {
            (0, _) => "has no role; declare one, as the other methods do",
            (READER, 0) => continue,
            (READER, _) => "has the role READER, and so no scope_rule",
            (_, 0) => "has no scope_rule; declare one, as the other methods above the role READER do",
            _ => continue,
        };
        return Err(format!("{}: {problem}", method.full_name()).into());
    }
    Ok(())
}

/// The messages that callers send, and their parts.
fn sent_messages(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> + '_ {
    let is_sent = |message: &MessageDescriptor| {
        message.package_name() == "readout.v1" && !message.is_map_entry() && !is_answer(message)
    };
    pool.all_messages().filter(is_sent)
}

/// The option that marks a field as required or output only.
fn field_behavior(pool: &DescriptorPool) -> Result<ExtensionDescriptor, Box<dyn Error>> {
    let behavior = pool.get_extension_by_name("google.api.field_behavior");
    behavior.ok_or_else(|| "google/api/field_behavior.proto is not among the imports".into())
}

/// True if only the service makes this message, so that it needs no checks.
fn is_answer(message: &MessageDescriptor) -> bool {
    matches!(
        message.name(),
        "Change"
            | "Dispute"
            | "FilterField"
            | "FilterFunction"
            | "Heartbeat"
            | "MeetingMatch"
            | "Notice"
            | "Revision"
            | "Snippet"
    ) || message.name().ends_with("Response")
        || message.parent_message().is_some_and(|parent| is_answer(&parent))
}

fn is_output_only(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    has_behavior(field, behavior, 3)
}

fn is_required(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    has_behavior(field, behavior, 2)
}

/// True if a field has the `google.api.FieldBehavior` with this number.
fn has_behavior(field: &FieldDescriptor, behavior: &ExtensionDescriptor, number: i32) -> bool {
    let options = field.options();
    let behaviors = options.get_extension(behavior);
    behaviors.as_list().is_some_and(|list| list.iter().any(|value| value.as_enum_number() == Some(number)))
}

/// The name of a field in Rust. `match` is the only keyword among the names of the contract.
fn ident(field: &FieldDescriptor) -> &str {
    match field.name() {
        "match" => "r#match",
        name => name,
    }
}

/// `readout.v1.IngestStoryResponse.ParticipantResult` as prost names it.
fn rust_path(message: &MessageDescriptor) -> String {
    match message.parent_message() {
        Some(parent) => format!("pb::{}::{}", snake(parent.name()), message.name()),
        None => format!("pb::{}", message.name()),
    }
}

/// `start_time` as the variant of an enum.
fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
