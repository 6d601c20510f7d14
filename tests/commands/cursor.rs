//! The cursor file of `readout watch`: it is checked before anything is printed, and errors name it.

use std::fs;

use tempfile::tempdir;

use crate::support::{Service, program::run};

#[tokio::test]
async fn a_watch_prints_nothing_when_its_cursor_file_is_unusable() {
    let service = Service::start().await;
    service.add_person("A").await;
    let address = service.address.to_string();
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("garbage"), "no cursor at all\n").unwrap();
    fs::write(path("binary"), [0x7f, b'E', b'L', b'F', 0, 0xff]).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::create_dir(path("taken.new")).unwrap();
    for (file, message) in [
        (path("nodir/cursor"), "cannot write"),
        (path("empty/cursor"), "cannot be read"),
        (path(""), "is a directory"),
        (path("taken"), "cannot write"),
        (path("garbage"), "holds no cursor"),
        (path("binary"), "holds no cursor"),
        (path("empty"), "holds no cursor"),
        ("/proc/version".into(), "holds no cursor"),
        ("/proc/nosuch".into(), "cannot write"),
        ("/dev/null".into(), "is not a regular file"),
    ] {
        let args = ["watch", "--server", &address, "--from", "beginning", "--until-caught-up", "--cursor-file", &file];
        let ran = run(args).await;
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (Some(2), "", 1), "{file}: {ran:?}");
        assert!(ran.stderr.contains(&file) && ran.stderr.contains(message), "{file}: {ran:?}");
    }
}

#[tokio::test]
async fn a_watch_names_the_file_of_a_cursor_that_the_service_refuses() {
    let service = Service::start().await;
    service.add_person("A").await;
    let address = service.address.to_string();
    let dir = tempdir().unwrap();
    let file = dir.path().join("cursor");
    let watch = async |filter: &str| {
        let args = ["watch", "--server", &address, "--until-caught-up", "--filter", filter, "--cursor-file"];
        run(args.iter().copied().chain([file.to_str().unwrap()])).await
    };
    assert_eq!(watch("kind = CREATED").await.code, Some(0));
    let cursor = fs::read_to_string(&file).unwrap();
    service.add_person("B").await;
    let refused = watch("kind = UPDATED").await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    for part in ["CURSOR_OF_ANOTHER_FILTER", file.to_str().unwrap(), "a file of its own"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), cursor);

    fs::write(&file, "0123456789abcdef\n").unwrap();
    let refused = watch("kind = CREATED").await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(
        refused.stderr.contains("INVALID_CURSOR") && refused.stderr.contains(file.to_str().unwrap()),
        "{refused:?}"
    );
}
