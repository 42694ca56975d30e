//! Each of several regions of a process is a whole registry, with data of its own.

use std::process::Command;

use harness::{Content, Dev, DevBuilder, Regions, binary, seed};

#[tokio::test(flavor = "multi_thread")]
async fn each_region_takes_pushes_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(60));
    let names = ["eu", "us"];
    let images = names.map(|_| content.image(&[40_000]));
    let regions = Regions::start(&names, folder.path(), None);
    for (name, image) in names.iter().zip(&images) {
        let client = regions.client(name);
        let pushed = client.push_image(&format!("team/{name}"), "1", image).await;
        pushed.unwrap().expect(201);
        assert!(folder.path().join(name).join("metadata").is_dir(), "{name}");
    }
    regions.into_process().kill();

    let regions = Regions::start(&names, folder.path(), None);
    for (name, image) in names.iter().zip(&images) {
        let client = regions.client(name);
        let answer = client.manifest(&format!("team/{name}"), "1").await.unwrap();
        assert_eq!(answer.expect(200).body, image.manifest);
    }
    assert!(stopped(regions.into_process()));
}

fn stopped(dev: Dev) -> bool {
    dev.stop().success()
}

#[test]
fn a_newcomer_is_told_which_port_is_which_region_and_what_lies_between() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&["eu", "us"], folder.path(), Some("40ms,20MB/s"));
    let host = |name| regions.base(name).replace("http://127.0.0.1", "localhost");
    let dev = regions.process();
    assert!(dev.told_line("emulates").contains("40ms,20MB/s"));
    assert!(dev.told_line("push").contains(&host("eu")));
    assert!(dev.told_line("pull").contains(&host("us")));
}

#[test]
fn an_address_in_use_ends_all_regions() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = DevBuilder::new(folder.path()).listen(&address);
    let ended = builder.arg("--regions").arg("eu,us").try_start();
    let ended = ended.unwrap_err();
    assert_eq!(ended.status.code(), Some(64), "{}", ended.said);
    assert!(ended.said.contains(&address), "{}", ended.said);
}

#[test]
fn names_that_make_no_regions_are_told() {
    for (arguments, word) in [
        (&["--regions", "eu"][..], "2 to 8"),
        (&["--regions", "eu,us,eu"], "twice"),
        (&["--regions", "eu,US"], "lower-case"),
        (&["--regions", "eu,us", "--wan", "far"], "--wan"),
        (&["--wan", "80ms"], "--regions"),
    ] {
        let output = Command::new(binary()).arg("dev").args(arguments).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}
