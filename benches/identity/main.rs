//! `make identity`: the figures of the rule of identity, on labelled pairs of names and on the sample stories.
//! `cargo bench --bench identity -- aliases` prints each alias that the rule makes of the stories.

mod pairs;
mod people;

#[path = "../../tests/support/stories.rs"]
#[allow(dead_code)]
mod stories;

fn main() {
    let prints_aliases = std::env::args().any(|arg| arg == "aliases");
    let pairs = pairs::read();
    pairs::print_classes(&pairs);
    pairs::print_figures(&pairs);
    pairs::print_speed(&pairs);
    people::print(prints_aliases);
}
