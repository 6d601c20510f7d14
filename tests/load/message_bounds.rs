//! Every list and every string of every request, with the most and the smallest items that a message can have: refused
//! before it is decoded, with little memory and CPU.

use std::{collections::BTreeSet, fs, io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use prost::bytes::BufMut;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use readout::pb;
use tonic::{Code, Status, transport::Channel};

use crate::support::{data_dir::DataDir, program::Program, raw};

const MIB: usize = 1 << 20;
/// The most bytes that a message may have.
const MOST: usize = 8 * MIB;
/// The list of a message without a declared limit.
const DEFAULT_LIMIT: usize = 20_000;

/// Bounds for each request.
const MAX_CPU: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 100 });

fn max_memory(sent: usize) -> usize {
    (8 * sent).clamp(4 * MIB, 64 * MIB)
}

/// A field of a request that can hold many bytes.
#[derive(Clone)]
struct Target {
    method: String,
    /// The fields from the request inwards.
    path: Vec<FieldDescriptor>,
}

impl Target {
    fn field(&self) -> &FieldDescriptor {
        self.path.last().expect("a path")
    }

    fn name(&self) -> String {
        let names: Vec<_> = self.path.iter().map(FieldDescriptor::name).collect();
        format!("{} {}", self.method, names.join("."))
    }

    fn is_list(&self) -> bool {
        self.field().is_list() || self.field().is_map()
    }

    /// A message of at most `size` bytes that is one list of the smallest items, or one long string.
    fn flat(&self, size: usize) -> Vec<u8> {
        let room = size - 6 * self.path.len();
        let content = match self.field().kind() {
            _ if !self.is_list() => delimited(self.field(), &vec![b'x'; room]),
            Kind::Message(_) | Kind::String | Kind::Bytes => {
                let item = delimited(self.field(), &[]);
                item.repeat(room / item.len())
            }
            _ => delimited(self.field(), &vec![1; room]),
        };
        self.path.iter().rev().skip(1).fold(content, |content, field| delimited(field, &content))
    }

    /// A message of at most `size` bytes in which every list on the path is at its limit, the innermost one first.
    fn nested(&self, size: usize) -> Vec<u8> {
        let mut content = Vec::new();
        for field in self.path.iter().rev() {
            let item = match field.kind() {
                Kind::Message(_) | Kind::String | Kind::Bytes => delimited(field, &content),
                _ => delimited(field, &[1]),
            };
            let is_list = field.is_list() || field.is_map();
            let count = if is_list { limit(field).min((size - 100) / item.len()).max(1) } else { 1 };
            content = item.repeat(count);
        }
        content
    }
}

/// The limit that a list declares.
fn limit(list: &FieldDescriptor) -> usize {
    let extension = pb::pool().get_extension_by_name("buf.validate.field").expect("imported");
    let options = list.options();
    let rules = options.get_extension(&extension);
    let declared = ["repeated.max_items", "map.max_pairs"].iter().find_map(|rule| {
        let (kind, limit) = rule.split_once('.')?;
        let rules = rules.as_message().filter(|rules| rules.has_field_by_name(kind))?.get_field_by_name(kind)?;
        let rules = rules.as_message().filter(|rules| rules.has_field_by_name(limit))?;
        rules.get_field_by_name(limit)?.as_u64()
    });
    declared.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).expect("small"))
}

fn delimited(field: &FieldDescriptor, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    prost::encoding::encode_varint(u64::from(field.number() << 3 | 2), &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.put_slice(content);
    bytes
}

fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// Every list and string of every method's request. A path contains no message twice.
fn targets() -> Vec<Target> {
    fn visit(message: &MessageDescriptor, method: &str, path: &mut Vec<FieldDescriptor>, found: &mut Vec<Target>) {
        for field in message.fields() {
            path.push(field.clone());
            if field.is_list() || field.is_map() || matches!(field.kind(), Kind::String | Kind::Bytes) {
                found.push(Target { method: method.to_owned(), path: path.clone() });
            }
            let outer = |part: &MessageDescriptor| path.iter().any(|outer| outer.parent_message() == part);
            if let Kind::Message(part) = field.kind()
                && !outer(&part)
            {
                visit(&part, method, path, found);
            }
            path.pop();
        }
    }
    let mut found = Vec::new();
    for method in methods() {
        let name = format!("{}/{}", method.parent_service().full_name(), method.name());
        visit(&method.input(), &name, &mut Vec::new(), &mut found);
    }
    found
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// The CPU time of all threads of a process.
fn cpu(program: &Program) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("the process runs");
    let nanoseconds = threads.filter_map(|thread| {
        let times = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The most that any request took.
#[derive(Debug, Default)]
struct Worst {
    requests: usize,
    memory: (usize, String),
    cpu: (Duration, String),
}

struct Sender<'a> {
    program: &'a Program,
    channel: Channel,
    worst: Worst,
    failures: Vec<String>,
}

impl Sender<'_> {
    /// Sends a request. Returns its status, the memory by which the service grew, and its CPU time.
    async fn measure(&self, target: &Target, message: &[u8], encoding: Option<&str>) -> (Status, usize, Duration) {
        let headers: Vec<_> = encoding.iter().map(|encoding| ("grpc-encoding", *encoding)).collect();
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        let body = [&[u8::from(encoding.is_some())], &length[..], message].concat();
        // Resets VmHWM; see proc_pid_clear_refs(5).
        fs::write(format!("/proc/{}/clear_refs", self.program.pid()), "5").expect("own process");
        let (memory_before, cpu_before) = (self.program.memory_kib("VmRSS:"), cpu(self.program));
        let answer = raw::post(self.channel.clone(), &target.method, &headers, body).await;
        let used = cpu(self.program).saturating_sub(cpu_before);
        let grown = self.program.memory_kib("VmHWM:").saturating_sub(memory_before) * 1024;
        (Status::from_header_map(&answer).expect("a status"), grown, used)
    }

    /// Sends a request, and notes if it is not refused within the bounds.
    async fn send(&mut self, target: &Target, variant: &str, message: &[u8], encoding: Option<&str>) {
        let name = format!("{} {variant}", target.name());
        let (status, grown, used) = self.measure(target, message, encoding).await;
        // A stream continues after a story that breaks rules: its answer has the status.
        let is_answered = variant.contains("nested") && target.method.ends_with("IngestStories");
        let is_refused = matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted);
        if !(is_refused || is_answered && status.code() == Code::Ok) {
            self.failures.push(format!("{name}: {:?} {}", status.code(), status.message()));
        }
        let sent = message.len();
        if grown > max_memory(sent) || used > MAX_CPU {
            self.failures.push(format!("{name}: {} KiB more for {} KiB, {used:?}", grown >> 10, sent >> 10));
        }
        let worst = &mut self.worst;
        worst.requests += 1;
        if grown > worst.memory.0 {
            worst.memory = (grown, name.clone());
        }
        if used > worst.cpu.0 {
            worst.cpu = (used, name);
        }
    }
}

/// The text of an article may have 1 MiB.
fn may_be_long(field: &FieldDescriptor) -> bool {
    field.full_name() == "readout.v1.Article.text"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_of_too_many_items_is_refused_with_little_memory_and_cpu() {
    let dir = DataDir::with_database().await;
    let program = Program::serve(&dir).await;
    let channel = program.channel().await;
    let mut sender = Sender { program: &program, channel, worst: Worst::default(), failures: Vec::new() };
    let targets = targets();
    assert!(methods().all(|method| targets.iter().any(|target| target.method.ends_with(method.name()))));

    // Buffers of the connection and of the allocator are not those of one request.
    for target in targets.iter().take(20) {
        sender.send(target, "first", &target.flat(MOST), None).await;
    }
    sender.worst = Worst::default();
    sender.failures.clear();
    let mut seen = BTreeSet::new();
    for target in &targets {
        // The same field of the same message is the same for the scan. Its path is not: outer lists are counted, too.
        let is_new = seen.insert((target.field().full_name().to_owned(), target.method.ends_with("IngestStories")));
        let is_string = !target.is_list();
        if is_string && !is_new {
            continue;
        }
        if !(may_be_long(target.field())) {
            sender.send(target, "1 MiB", &target.flat(MIB), None).await;
        }
        if is_new {
            let message = target.flat(MOST);
            sender.send(target, "8 MiB", &message, None).await;
            sender.send(target, "8 MiB in gzip", &gzip(&message), Some("gzip")).await;
            if !may_be_long(target.field()) {
                sender.send(target, "1 MiB in gzip", &gzip(&target.flat(MIB)), Some("gzip")).await;
            }
        }
        let lists = target.path.iter().filter(|field| field.is_list() || field.is_map()).count();
        if is_new && lists > 1 {
            for (size, variant) in [(MIB, "1 MiB nested"), (MOST, "8 MiB nested")] {
                let message = target.nested(size);
                sender.send(target, variant, &message, None).await;
                sender.send(target, &format!("{variant} in gzip"), &gzip(&message), Some("gzip")).await;
            }
        }
    }
    let Sender { worst, failures, .. } = sender;
    println!("{} fields of {} methods: {worst:#?}", targets.len(), methods().count());
    assert!(failures.is_empty(), "{} failures: {:#?}", failures.len(), &failures[..failures.len().min(40)]);
    program.stop().await;
}

/// Messages that are decoded since they are just within the limits, and then refused by the rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_just_within_the_limits_takes_bounded_memory() {
    let dir = DataDir::with_database().await;
    let program = Program::serve(&dir).await;
    let channel = program.channel().await;
    let sender = Sender { program: &program, channel, worst: Worst::default(), failures: Vec::new() };
    let story = pb::pool().get_message_by_name("readout.v1.IngestStoryRequest").expect("a message");
    let target = |path: &str| {
        let mut message = story.clone();
        let step = |name: &str| {
            let field = message.get_field_by_name(name).expect("a field");
            if let Kind::Message(part) = field.kind() {
                message = part;
            }
            field
        };
        Target { method: "readout.v1.IngestService/IngestStory".to_owned(), path: path.split('.').map(step).collect() }
    };
    let participations = target("story.reports.account.participations");
    let names = target("story.participants.participant.names");
    let statements = target("story.reports.account.statements.text");
    let decomposed = "e\u{301}".repeat(8_000);
    for (target, counts, content) in [
        (&participations, &[1, 100, 1, 128][..], Vec::new()),
        (&names, &[1, 1_000, 1, 19], Vec::new()),
        (&statements, &[1, 1, 1, 340, 1], decomposed.into_bytes()),
    ] {
        let mut message = content;
        for (field, count) in target.path.iter().zip(counts).rev() {
            message = delimited(field, &message).repeat(*count);
        }
        let (status, grown, used) = sender.measure(target, &message, None).await;
        println!("{} bytes of {}: {} KiB more, {used:?}", message.len(), target.name(), grown >> 10);
        assert_eq!(status.code(), Code::InvalidArgument, "{}", status.message());
        assert!(grown <= (8 * message.len()).max(16 * MIB), "{grown} bytes more");
        assert!(used <= 4 * MAX_CPU, "{used:?}");
    }
    program.stop().await;
}
