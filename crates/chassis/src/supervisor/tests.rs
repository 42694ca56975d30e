use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const GRACE: Duration = Duration::from_secs(8);

async fn obedient(token: CancellationToken) -> TaskResult {
    token.cancelled().await;
    Ok(())
}

#[tokio::test]
async fn one_failure_stops_all() {
    let supervisor = Supervisor::default();
    supervisor.spawn("waits", obedient(supervisor.token()));
    supervisor.spawn("fails", async { Err("broken".into()) });
    let failure = supervisor.run(std::future::pending(), GRACE).await;
    let Err(TaskFailed::Failed { name, source }) = failure else {
        panic!("{failure:?}");
    };
    assert_eq!((&*name, source.to_string().as_str()), ("fails", "broken"));
}

#[tokio::test]
async fn a_service_that_ends_early_stops_all() {
    let supervisor = Supervisor::default();
    supervisor.spawn_background("waits", obedient(supervisor.background_token()));
    supervisor.spawn("short", async { Ok(()) });
    let failure = supervisor.run(std::future::pending(), GRACE).await;
    assert!(matches!(failure, Err(TaskFailed::EndedEarly { name }) if name == "short"));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_a_name() {
    let supervisor = Supervisor::default();
    supervisor.spawner().spawn_child("clumsy", async {
        panic!("on purpose");
    });
    let failure = supervisor.run(std::future::pending(), GRACE).await;
    assert!(matches!(failure, Err(TaskFailed::Panicked { name }) if name == "clumsy"));
}

#[tokio::test]
async fn children_come_and_go() {
    let supervisor = Supervisor::default();
    let (done, ended) = tokio::sync::oneshot::channel();
    supervisor.spawner().spawn_child("visitor", async move {
        let _ = done.send(());
    });
    let stop = async move {
        ended.await.unwrap();
    };
    assert!(supervisor.run(stop, GRACE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn deaf_tasks_are_named_and_numbered() {
    let supervisor = Supervisor::default();
    supervisor.spawn("deaf", std::future::pending());
    for _ in 0..2 {
        supervisor
            .spawner()
            .spawn_child("visitor", std::future::pending());
    }
    let failure = supervisor.run(async {}, GRACE).await.unwrap_err();
    assert_eq!(failure.to_string(), "tasks did not stop in time: deaf");
}

#[tokio::test(start_paused = true)]
async fn the_background_outlives_services_and_still_has_its_share_of_the_grace() {
    let supervisor = Supervisor::default();
    let flushed = Arc::new(AtomicBool::new(false));
    supervisor.spawn("deaf", std::future::pending());
    supervisor.spawn_background("flushes", {
        let (token, flushed) = (supervisor.background_token(), Arc::clone(&flushed));
        async move {
            token.cancelled().await;
            tokio::time::sleep(GRACE / 8).await;
            flushed.store(true, Ordering::SeqCst);
            Ok(())
        }
    });
    let started = Instant::now();
    assert!(supervisor.run(async {}, GRACE).await.is_err());
    assert!(flushed.load(Ordering::SeqCst));
    assert!(started.elapsed() <= GRACE);
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_is_while_services_still_accept() {
    let supervisor = Supervisor::default();
    let (leaving, serving) = (supervisor.leaving_token(), supervisor.token());
    supervisor.spawn("serves", obedient(serving.clone()));
    supervisor.spawn_leaving("hands over", async move {
        leaving.cancelled().await;
        tokio::time::sleep(GRACE / 8).await;
        assert!(!serving.is_cancelled());
        Ok(())
    });
    supervisor.run(async {}, GRACE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn services_have_their_share_of_the_grace_though_nothing_is_handed_over() {
    let supervisor = Supervisor::default();
    supervisor.spawn_leaving("deaf", std::future::pending());
    let drained = Arc::new(AtomicBool::new(false));
    supervisor.spawn("drains", {
        let (token, drained) = (supervisor.token(), Arc::clone(&drained));
        async move {
            token.cancelled().await;
            tokio::time::sleep(GRACE / 8).await;
            drained.store(true, Ordering::SeqCst);
            Ok(())
        }
    });
    let failure = supervisor.run(async {}, GRACE).await.unwrap_err();
    assert_eq!(failure.to_string(), "tasks did not stop in time: deaf");
    assert!(drained.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn readiness_falls_before_the_token() {
    let supervisor = Supervisor::default().with_notice(Duration::from_secs(3));
    let readiness = supervisor.readiness().clone();
    assert!(!readiness.is_ready(), "nothing runs yet");
    let token = supervisor.token();
    let (seen, stop) = tokio::sync::oneshot::channel();
    let watch = {
        async move {
            readiness.ready().await;
            let _ = seen.send(());
            readiness.unready().await;
            assert!(!token.is_cancelled());
            let fell = Instant::now();
            token.cancelled().await;
            assert_eq!(fell.elapsed(), Duration::from_secs(3));
            Ok(())
        }
    };
    supervisor.spawn("watches", watch);
    let stop = async move { stop.await.unwrap() };
    supervisor.run(stop, GRACE).await.unwrap();
}
