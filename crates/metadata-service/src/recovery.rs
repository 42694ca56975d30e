//! What the log says of a start that takes long: what goes on, and how far it is.

use std::path::Path;
use std::time::{Duration, Instant};

use redb::RepairSession;

/// A start that is over sooner needs no word.
const SHORT: Duration = Duration::from_secs(1);
/// Between two words.
const AGAIN: Duration = Duration::from_secs(5);

/// Does `work`, and says that it goes on while it takes long.
pub(crate) async fn told<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    let begun = Instant::now();
    let mut patience = SHORT;
    loop {
        if let Ok(done) = tokio::time::timeout(patience, &mut work).await {
            return done;
        }
        let seconds = begun.elapsed().as_secs();
        tracing::info!(seconds, "still {what}");
        patience = AGAIN;
    }
}

/// Says how far the database is with putting `file` in order, if that takes long.
pub(crate) fn tell_repair(file: &Path) -> impl Fn(&mut RepairSession) + 'static {
    let (file, begun) = (file.to_owned(), Instant::now());
    move |session| {
        if begun.elapsed() >= SHORT {
            let done = session.progress() * 100.0;
            let file = file.display();
            tracing::info!(%file, "putting the file in order after a crash: {done:.0} % done");
        }
    }
}
