//! The files that `readout import` reads: every layout, compressed or not.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use tempfile::tempdir;

use super::{import, line};
use crate::support::{
    Service,
    program::{run, run_with_input},
    stories,
};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

/// The JSON objects `lines` in every layout, each also compressed.
fn layouts(lines: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    let pretty: Vec<String> = lines
        .iter()
        .map(|line| serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap()).unwrap())
        .collect();
    let plain = [
        ("lines", lines.join("\n")),
        ("lines with CRLF and a byte order mark", format!("\u{feff}{}\r\n", lines.join("\r\n\r\n"))),
        ("pretty", pretty.join("\n")),
        ("pretty without separators", pretty.concat()),
        ("an array", format!("[{}]", lines.join(","))),
        ("a pretty array", format!("\u{feff}[\n{}\n]\n", pretty.join(",\n"))),
        ("an array that begins its lines with commas", format!("[{}\n]", pretty.join("\n,"))),
    ];
    let mut layouts: Vec<_> = plain.iter().map(|(name, text)| (*name, text.clone().into_bytes())).collect();
    layouts.extend(plain.iter().map(|(name, text)| (*name, gzip(text.as_bytes()))));
    layouts.extend(plain.iter().map(|(name, text)| (*name, zstd(text.as_bytes()))));
    layouts
}

#[tokio::test]
async fn an_import_reads_stories_in_every_layout() {
    let service = Service::start().await;
    let address = service.address.to_string();
    let dir = tempdir().unwrap();
    let lines = [line("urn:1", &["Aliyev", "Gul"]), line("urn:2", &["Gul"]), line("urn:3", &[])];
    for (index, (layout, bytes)) in layouts(&lines).into_iter().enumerate() {
        // The name is misleading: the format is detected from the content.
        let file = dir.path().join(["a.gz", "b.json", "c.zst"][index % 3]);
        fs::write(&file, &bytes).unwrap();
        let ran = match index % 2 {
            0 => import(&service, &[&file]).await,
            _ => run_with_input(["import", "--server", &address, "--output", "json", "-"], &bytes).await,
        };
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{layout} {index}: {ran:?}");
        assert!(ran.stdout.starts_with(r#"{"stories":3,"articles":3,"meetings":3,"#), "{layout} {index}: {ran:?}");
    }
}

#[tokio::test]
async fn an_import_reads_an_export_in_every_layout() {
    let source = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories");
    fs::write(&file, [line("urn:1", &["Aliyev", "Gul"]), line("urn:2", &["Gul"])].join("\n")).unwrap();
    assert_eq!(import(&source, &[&file]).await.code, Some(0));
    let exported = run(["export", "--server", &source.address.to_string()]).await.stdout;
    let lines: Vec<String> = exported.lines().map(str::to_owned).collect();

    let copy = Service::start().await;
    for (layout, bytes) in layouts(&lines) {
        fs::write(&file, bytes).unwrap();
        let ran = import(&copy, &[&file]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{layout}: {ran:?}");
        assert!(ran.stdout.starts_with(r#"{"stories":0,"articles":2,"meetings":2,"reports":2,"#), "{layout}: {ran:?}");
    }
    assert_eq!(run(["export", "--server", &copy.address.to_string()]).await.stdout, exported);
}

#[tokio::test]
async fn an_import_reads_the_sample_story() {
    let service = Service::start().await;
    let ran = import(&service, &[&stories::path("azernews.story.json")]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.starts_with(r#"{"stories":1,"articles":1,"meetings":5,"#), "{ran:?}");
}

#[tokio::test]
async fn an_import_reads_padded_and_concatenated_files() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories");
    let (first, second) = (line("urn:1", &["Aliyev"]), line("urn:2", &["Gul"]));
    let both = format!("{first}\n{second}");
    for bytes in [
        [gzip(both.as_bytes()), vec![0; 512]].concat(),
        [gzip(format!("{first}\n").as_bytes()), gzip(second.as_bytes()), vec![0]].concat(),
        [gzip(first.as_bytes()), vec![0; 9], gzip(second.as_bytes())].concat(),
        // A gzip member ends within a message.
        [gzip(&both.as_bytes()[..70]), gzip(&both.as_bytes()[70..])].concat(),
        [zstd(first.as_bytes()), zstd(second.as_bytes())].concat(),
        [gzip(b""), zstd(both.as_bytes())].concat(),
    ] {
        fs::write(&file, bytes).unwrap();
        let ran = import(&service, &[&file]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.stdout.starts_with(r#"{"stories":2,"#), "{ran:?}");
    }
    for bytes in [gzip(b""), zstd(b""), b"".to_vec(), b"\n\n".to_vec(), b"[]".to_vec()] {
        fs::write(&file, bytes).unwrap();
        let ran = import(&service, &[&file]).await;
        assert!(ran.code == Some(0) && ran.stdout.starts_with(r#"{"stories":0,"#), "{ran:?}");
    }
}

#[tokio::test]
async fn an_import_of_a_truncated_file_stores_the_whole_messages_and_reports_the_truncation() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories");
    let lines: Vec<String> = (0..200).map(|number| line(&format!("urn:{number}"), &["Aliyev"])).collect();
    let text = lines.join("\n");
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec();
    for (bytes, damage) in [
        (cut(text.clone().into_bytes()), "the file ends within this message (is it cut off?)"),
        (cut(gzip(text.as_bytes())), "the gzip data ends early: the file is cut off"),
        (cut(zstd(text.as_bytes())), "the zstd data ends early: the file is cut off"),
        (format!("[{}", lines.join(",")).into_bytes(), "the file ends within its array"),
        ([gzip(text.as_bytes()), b"garbage".to_vec()].concat(), "after the packed data comes something else"),
    ] {
        fs::write(&file, bytes).unwrap();
        let ran = import(&service, &[&file]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{ran:?}");
        assert!(ran.stderr.contains(damage) && ran.stdout.contains(r#""failed":1,"#), "{damage}: {ran:?}");
    }
    let all = run(["export", "--server", &service.address.to_string()]).await.stdout;
    assert_eq!(all.matches(r#"{"article":{"name""#).count(), 200);
}

#[tokio::test]
async fn an_import_holds_one_message_of_an_array_in_memory_at_a_time() {
    const MESSAGES: usize = 100;
    let service = Service::start().await;
    let address = service.address.to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_readout"))
        .args(["import", "--server", &address, "--output", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = "x".repeat(1 << 20);
    let written = tokio::task::spawn_blocking(move || {
        write!(stdin, "[").unwrap();
        for _ in 0..MESSAGES {
            writeln!(stdin, r#"{{"nothing": "{text}"}},"#).unwrap();
        }
        // Once this write succeeds, the program has read all messages but the last and waits for the end of the array.
        write!(stdin, "{{}}").unwrap();
        stdin.flush().unwrap();
        stdin
    });
    let mut stdin = written.await.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    write!(stdin, "]").unwrap();
    drop(stdin);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains(&format!(r#""failed":{},"#, MESSAGES + 1)), "{stdout}");
    assert!(peak < 90 * 1024, "{peak} KiB were resident, of {MESSAGES} MiB");
}
