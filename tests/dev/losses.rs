//! Bytes that the disk loses beneath a running registry: a clear failure, never a short body, and a
//! push that heals it.

use std::path::{Path, PathBuf};

use harness::{Content, DevBuilder, digest, seed};

/// The stored object of that length.
fn object(data_dir: &Path, len: usize) -> PathBuf {
    let mut folders = vec![data_dir.join("blobs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.len() == len as u64 {
                return entry.path();
            }
        }
    }
    panic!("no object has {len} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_whose_file_is_gone_is_healed_by_the_next_push() {
    let folder = tempfile::tempdir().unwrap();
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let image = Content::new(seed(40)).image(&[80_000]);
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let layer = image.blobs.iter().find(|blob| blob.len() == 80_000);
    let layer = layer.unwrap().clone();
    let path = format!("/v2/team/app/blobs/{}", digest(&layer));
    for damage in ["removed", "cut"] {
        let file = object(folder.path(), 80_000);
        if damage == "cut" {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_len(79_999).unwrap();
        } else {
            std::fs::remove_file(file).unwrap();
        }
        client.head(&path).await.unwrap().expect(200);
        let answer = client.get(&path).await.unwrap().expect(503);
        assert!(answer.header("retry-after").is_some(), "{damage}");
        // A push asks, hears that it must upload, and does.
        client.head(&path).await.unwrap().expect(404);
        let pushed = client.push_blob("team/app", layer.clone()).await;
        pushed.unwrap().expect(201);
        client.head(&path).await.unwrap().expect(200);
        let answer = client.get(&path).await.unwrap().expect(200);
        assert_eq!(answer.body, layer, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_while_it_is_pulled_ends_the_connection() {
    const LEN: usize = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let layer = Content::new(seed(41)).image(&[LEN]).blobs;
    let layer = layer.iter().find(|blob| blob.len() == LEN).unwrap();
    let pushed = client.push_blob("team/app", layer.clone()).await;
    pushed.unwrap().expect(201);
    let url = format!("{}/v2/team/app/blobs/{}", dev.base(), digest(layer));
    let mut answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut received = answer.chunk().await.unwrap().unwrap().len();
    let file = object(folder.path(), LEN);
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(LEN as u64 / 2).unwrap();
    let end = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            end => break end,
        }
    };
    assert!(end.is_err(), "a body of {received} bytes ended well");
}
