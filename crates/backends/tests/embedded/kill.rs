//! FAULTS.md, D1: the process is killed while it writes.

use std::time::{Duration, SystemTime};

use crate::service::{self, Service};

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    kill(20).await;
}

#[tokio::test]
async fn slow_nothing_acknowledged_is_lost_when_the_process_is_killed_a_thousand_times() {
    kill(1_000).await;
}

async fn kill(rounds: u64) {
    let mut directory = tempfile::tempdir().unwrap();
    let mut acknowledged = vec![];
    for round in 0..rounds {
        // A crash costs reading the file: how long that takes is not to depend on the number of rounds.
        if round % 50 == 0 {
            directory = tempfile::tempdir().unwrap();
            acknowledged.clear();
        }
        let service = Service::start(directory.path(), round * 1_000_000 + 1);
        std::thread::sleep(moment());
        acknowledged.extend(service.kill());
        let opened = service::check(directory.path(), &acknowledged).await;
        assert!(
            opened < Duration::from_secs(1),
            "opening after the kill took {opened:?}"
        );
    }
}

/// Some instant of the next 60 ms.
pub(crate) fn moment() -> Duration {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    Duration::from_micros(u64::from(nanos / 7 % 60_000))
}
