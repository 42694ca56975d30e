//! Many uploads over a bad way, by a seed: what was acknowledged is there and right, at any time; what
//! is absent was never acknowledged; and when all is deleted, nothing is left.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use harness::s3::{Call, S3Proxy, S3Server};
use meridian_blobstore::{BlobKey, BlobStore, BlobWriter, ReadError, S3BlobStore, WriterState};

use crate::{MIB, content, key};

/// A source of decisions.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }
}

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how a run is repeated by hand")]
    let asked = std::env::var("SEED").ok();
    let seed = asked.map_or(20_260, |text| text.parse().expect("SEED is a number"));
    eprintln!("SEED={seed}");
    seed
}

/// What one upload came to.
enum End {
    Acknowledged(Bytes),
    /// Nobody was told that it is there. It may be: then it is whole.
    Unknown(Bytes),
}

/// Uploads one object as a client would that never gives up easily: it goes on from what was synced.
async fn upload(store: &S3BlobStore, key: &BlobKey, dice: &mut Dice) -> End {
    let sizes = [0, 1, 1_000, 300_000, MIB, 6 * MIB, 11 * MIB];
    let bytes = content(
        key.generation,
        sizes[dice.roll(sizes.len())] + dice.roll(1000),
    );
    let mut state = WriterState::default();
    for _ in 0..8 {
        let writer = match store.create(key).await {
            Ok(writer) => Some(writer),
            Err(_) => store.resume(key, Some(&state)).await.unwrap_or(None),
        };
        let Some(mut writer) = writer else { continue };
        let at = usize::try_from(state.len).unwrap();
        assert_eq!(writer.len(), state.len);
        if write(&mut writer, &bytes.slice(at..), &mut state, dice)
            .await
            .is_some()
        {
            match dice.roll(8) {
                0 => {
                    writer.abort().await;
                    return End::Unknown(bytes);
                }
                _ => match writer.commit().await {
                    Ok(size) => {
                        assert_eq!(size, bytes.len() as u64);
                        return End::Acknowledged(bytes);
                    }
                    Err(_) => return End::Unknown(bytes),
                },
            }
        }
    }
    End::Unknown(bytes)
}

/// Appends everything, with a sync now and then, or breaks off.
async fn write(
    writer: &mut Box<dyn BlobWriter>,
    bytes: &Bytes,
    state: &mut WriterState,
    dice: &mut Dice,
) -> Option<()> {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(1 + dice.roll(2 * MIB)));
        writer.append(chunk).await.ok()?;
        match dice.roll(12) {
            0 | 1 => {
                writer.sync().await.ok()?;
                *state = writer.state();
            }
            2 => {
                let mark = writer.sync().await.ok()?;
                *state = writer.state();
                writer.append(content(99, dice.roll(MIB))).await.ok()?;
                writer.truncate(mark).await.ok()?;
            }
            3 => return None,
            _ => {}
        }
    }
    Some(())
}

/// Reads an object, some of it or all: its bytes, or nothing if that failed visibly.
async fn read(store: &S3BlobStore, key: &BlobKey) -> Result<Option<Bytes>, ReadError> {
    match store.open(key, None).await {
        Ok(reader) => Ok(reader.into_bytes().await.ok()),
        Err(absent @ ReadError::NotFound(_)) => Err(absent),
        Err(_) => Ok(None),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_deleted_is_left() {
    let seed = seed();
    let server = S3Server::start().await;
    let proxy = S3Proxy::to(server.address()).await;
    let mut config = server.config();
    config.endpoint = Some(proxy.endpoint());
    config.attempt_timeout = Duration::from_secs(10);
    config.deadline = Duration::from_secs(30);
    let store = S3BlobStore::open(config).await.unwrap();
    proxy.chance(seed, 5);
    let workers = (0..4).map(|worker| {
        let store = &store;
        async move {
            let mut dice = Dice(seed.wrapping_mul(31).wrapping_add(worker) | 1);
            let mut ends = BTreeMap::new();
            for number in 0..8 {
                let key = key(worker * 1000 + number);
                let end = upload(store, &key, &mut dice).await;
                if let End::Acknowledged(bytes) = &end {
                    let found = read(store, &key).await;
                    let found = found.expect("an acknowledged object is absent");
                    assert!(found.is_none_or(|found| found == *bytes), "{key} is wrong");
                    let stat = store.stat(&key).await;
                    assert!(stat.is_err() || stat.is_ok_and(|size| size.is_some()));
                }
                ends.insert(key, end);
            }
            ends
        }
    });
    let ends: BTreeMap<_, _> = join_all(workers).await.into_iter().flatten().collect();
    let met = proxy.met();
    proxy.heal();
    let mut acknowledged = 0;
    for (key, end) in &ends {
        match end {
            End::Acknowledged(bytes) => {
                acknowledged += 1;
                assert!(
                    read(&store, key).await.unwrap().as_ref() == Some(bytes),
                    "{key}"
                );
            }
            End::Unknown(bytes) => match read(&store, key).await {
                Ok(found) => assert!(found.as_ref() == Some(bytes), "{key} is half there"),
                Err(_absent) => {}
            },
        }
    }
    eprintln!(
        "{acknowledged} of {} acknowledged, {met} faults",
        ends.len()
    );
    assert!(acknowledged > ends.len() / 3 && met > 40);

    for listed in store.list(None, 1000).await.unwrap() {
        assert!(ends.contains_key(&listed.key));
    }
    for key in ends.keys() {
        store.delete(key).await.unwrap();
    }
    assert_eq!(server.objects(), [""; 0]);
    assert_eq!(server.parts(), 0, "parts are left");
    // A beginning whose answer is lost is known to nobody; such an upload holds nothing.
    let (left, begun) = (server.uploads(), proxy.count(Call::Begin));
    assert!(left <= begun / 4, "{left} of {begun} uploads are left");
}
