//! The table of attacks. A further attack is a line; a further method of the contract is attacked without one.

use std::{net::Ipv4Addr, time::Duration};

use super::{
    attack::Attack,
    calls, connections,
    samples::Class,
    streams::{self, StreamKind},
};

/// The address of the polite caller: the two are behind one proxy.
const SHARED: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// An address of the hostile caller alone, for attacks with more connections than an address may have.
const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An attack.
pub struct Behaviour {
    pub name: String,
    /// The address that the attack comes from.
    pub source: Ipv4Addr,
    /// The limit of the growth of the service's memory.
    pub max_mib: Option<u64>,
    /// True if the ordinary suite runs it; `make overload` runs all.
    pub is_in_suite: bool,
    /// Starts the attack.
    pub start: Box<dyn Fn(&Attack) + Send + Sync>,
}

impl Behaviour {
    fn new(name: impl Into<String>, start: impl Fn(&Attack) + Send + Sync + 'static) -> Self {
        Self { name: name.into(), source: SHARED, max_mib: None, is_in_suite: true, start: Box::new(start) }
    }

    fn with_own_address(self) -> Self {
        Self { source: OWN, ..self }
    }

    fn within_mib(self, mib: u64) -> Self {
        Self { max_mib: Some(mib), ..self }
    }

    fn only_in_full(self) -> Self {
        Self { is_in_suite: false, ..self }
    }
}

/// All attacks.
pub fn all() -> Vec<Behaviour> {
    let mut all = vec![
        // Requests that do not arrive
        Behaviour::new("unfinished calls without credentials", calls::unfinished_health_checks),
        Behaviour::new("unfinished writes, again and again", |attack| {
            calls::unfinished(attack, Class::Write, Some(Duration::from_millis(300)));
        }),
        Behaviour::new("60 slow bodies of 7.9 MiB", calls::slow_bodies).within_mib(256),
        Behaviour::new("500 half-closed ingest streams", streams::half_closed_ingest),
        // Calls that wait
        Behaviour::new("1,000 reads of a future position", |attack| calls::future_reads(attack, 1_000)),
        Behaviour::new("3,000 reads of a future position", |attack| calls::future_reads(attack, 3_000)),
        Behaviour::new("900 reports to one meeting", calls::reports_to_one_meeting),
        // Calls that cost much
        Behaviour::new("16 expensive counts", calls::expensive_counts),
        Behaviour::new("32 searches", calls::searches),
        // Encoding such pages keeps an unoptimized service busy, so that other calls are late for that reason alone.
        Behaviour::new("64 large pages", calls::large_pages).only_in_full(),
        Behaviour::new("500 unread pages", calls::unread_pages).within_mib(256).only_in_full(),
        Behaviour::new("64 batch reads of 1,000 names", calls::batch_reads).within_mib(256).only_in_full(),
        Behaviour::new("64 exports", streams::exports),
        Behaviour::new("16 streams of stories", streams::stories),
        // Calls that cost the caller little
        Behaviour::new("empty messages to every method", calls::empty_messages),
        Behaviour::new("refused credentials", calls::refused_credentials),
        Behaviour::new("no credentials", calls::no_credentials).only_in_full(),
        // Streams
        Behaviour::new("4,000 watchers", streams::watchers),
        Behaviour::new("15,000 health watches without credentials", |attack| {
            streams::open_unread(attack, StreamKind::HealthWatch, 15_000);
        })
        .within_mib(64),
        // Connections
        Behaviour::new("2,000 idle connections", connections::idle).with_own_address(),
        Behaviour::new("2,000 unfinished handshakes", connections::unfinished_handshakes).with_own_address(),
        Behaviour::new("connections opened and closed", connections::opened_and_closed)
            .with_own_address()
            .only_in_full(),
        Behaviour::new("rapid resets", connections::rapid_resets),
    ];
    for class in Class::ALL {
        all.extend(attacks_on(class));
    }
    all.extend(StreamKind::all().into_iter().filter(|kind| *kind != StreamKind::HealthWatch).map(|kind| {
        let name = format!("500 unread streams of {kind}");
        let is_watch = kind.to_string().ends_with("WatchChanges");
        let row = Behaviour::new(name, move |attack| streams::open_unread(attack, kind.clone(), 500));
        if is_watch { row } else { row.only_in_full() }
    }));
    all
}

/// The attacks on every class of methods.
fn attacks_on(class: Class) -> [Behaviour; 3] {
    let unfinished = Behaviour::new(format!("2,250 unfinished calls, class {class:?}"), move |attack| {
        calls::unfinished(attack, class, None);
    });
    let flood = Behaviour::new(format!("512 calls in flight, class {class:?}"), move |attack| {
        calls::flood(attack, class);
    });
    let given_up = Behaviour::new(format!("calls given up at once, class {class:?}"), move |attack| {
        calls::given_up(attack, class);
    });
    match class {
        Class::Read => [unfinished, flood, given_up.only_in_full()],
        Class::Query => [unfinished.only_in_full(), flood.only_in_full(), given_up],
        Class::Write | Class::Stream => [unfinished, flood, given_up].map(Behaviour::only_in_full),
    }
}
