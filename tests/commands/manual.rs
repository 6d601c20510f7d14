//! `readout completions` and `readout man`.

use std::fs;

use tempfile::tempdir;

use crate::support::program::run;

#[tokio::test]
async fn completions_name_every_command_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(["completions", shell]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["import", "export", "watch", "cursor-file", "duplicates", "completions", "new-epoch"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
    let unknown = run(["completions", "ksh"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
}

#[tokio::test]
async fn the_man_command_writes_a_page_for_the_program_and_each_command() {
    let page = run(["man"]).await;
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains(".TH readout 1") && page.stdout.contains("readout\\-import(1)"), "{}", page.stdout);

    let dir = tempdir().unwrap();
    let pages = dir.path().join("share/man/man1");
    let ran = run(["man", "--dir", pages.to_str().unwrap()]).await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    for name in [
        "readout",
        "readout-import",
        "readout-watch",
        "readout-duplicates",
        "readout-admin-new-epoch",
        "readout-token-create",
    ] {
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
    }
    let import = fs::read_to_string(pages.join("readout-import.1")).unwrap();
    assert!(import.contains("Exit status") && import.contains("READOUT_CONCURRENCY"), "{import}");

    let refused = run(["man", "--dir", "/dev/null/man"]).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("/dev/null/man"), "{refused:?}");
}
