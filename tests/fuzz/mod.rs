//! Random input: to the parsers and rules that read untrusted input, and to every method of a running service.
//!
//! A target runs on its corpus (`corpus/<target>/`), then on random changes of it: one second in `cargo test`, as long
//! as `READOUT_FUZZ` says otherwise. `make fuzz` runs the same targets for hours. A failing input is saved, and belongs
//! in the corpus once the defect is mended.

mod budget;
mod calls;
pub mod mutate;
mod seeds;
pub mod targets;

use std::{collections::BTreeSet, fs};

use readout::pb;

use self::{
    budget::fuzz,
    targets::{REQUESTS, TARGETS, Target, UPDATES},
};
use crate::support::repository::root;

macro_rules! fuzz_tests {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            run($name);
        })+

        /// The targets with a test.
        const TESTED: &[&str] = &[$($name),+];
    };
}

fuzz_tests! {
    aggregation_reads_any_input: "aggregation",
    certificate_reads_any_input: "certificate",
    credentials_reads_any_input: "credentials",
    database_url_reads_any_input: "database_url",
    dates_reads_any_input: "dates",
    evidence_reads_any_input: "evidence",
    extractions_reads_any_input: "extractions",
    filter_reads_any_input: "filter",
    import_reads_any_input: "import",
    json_reads_any_input: "json",
    masks_reads_any_input: "masks",
    metadata_reads_any_input: "metadata",
    names_reads_any_input: "names",
    order_reads_any_input: "order",
    requests_reads_any_input: "requests",
    resources_reads_any_input: "resources",
    search_reads_any_input: "search",
    settle_reads_any_input: "settle",
    spans_reads_any_input: "spans",
    tokens_reads_any_input: "tokens",
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    fuzz(target, seeds::of(name));
}

#[test]
fn every_target_has_a_test_a_corpus_and_a_program_for_cargo_fuzz() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets, TESTED.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(targets, names_in("tests/fuzz/corpus"));
    assert_eq!(targets, names_in("fuzz/fuzz_targets"));
}

/// `fuzz/run` calls this test, so that libFuzzer begins with these inputs too.
#[test]
#[ignore = "it only writes files for cargo fuzz"]
fn seeds_are_written() {
    for Target { name, .. } in TARGETS {
        let folder = root().join("target/fuzz/corpus").join(name);
        fs::create_dir_all(&folder).expect("created");
        for (number, seed) in seeds::of(name).into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).expect("written");
        }
    }
}

/// The names in a folder, without extensions.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        path.file_stem().and_then(|name| name.to_str()).expect("ASCII").to_owned()
    };
    entries.map(name).collect()
}

#[test]
fn every_request_of_the_contract_is_a_target() {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let inputs: Vec<_> = methods.map(|method| method.input()).collect();
    let names = inputs.iter().map(|input| input.name()).collect::<BTreeSet<_>>();
    assert_eq!(REQUESTS.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), names);
    let masked = inputs.iter().filter(|input| input.get_field_by_name("update_mask").is_some());
    assert_eq!(masked.map(|input| input.name()).collect::<BTreeSet<_>>(), UPDATES.into());
}
