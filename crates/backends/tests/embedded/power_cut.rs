//! FAULTS.md, D2: the power goes while the service writes.
//!
//! The state directory is on a filesystem in an image. The service is stopped in the middle of its writes and the image copied:
//! the copy holds what the disk holds, and nothing of what is only in the page cache.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    kill::moment,
    mount::{Mount, run},
    service::{self, Service},
};

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    cut("nothing_acknowledged_is_lost_when_the_power_goes", 3).await;
}

#[tokio::test]
async fn slow_nothing_acknowledged_is_lost_when_the_power_goes_a_hundred_times() {
    cut(
        "slow_nothing_acknowledged_is_lost_when_the_power_goes_a_hundred_times",
        100,
    )
    .await;
}

async fn cut(test: &str, rounds: u64) {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("disk");
    let copy = directory.path().join("after-the-cut");
    for _ in 0..rounds {
        fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
        assert!(
            run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]),
            "mkfs.ext4"
        );
        let Some(disk) = Mount::image(&image) else {
            return eprintln!(
                "skipped {test}: only root may mount, and there must be loop devices"
            );
        };
        let mut service = Service::start(&disk.path().join("state"), 1);
        std::thread::sleep(moment() * 5);
        stop(&service);
        let acknowledged = service.acknowledged().to_vec();
        fs::copy(&image, &copy).unwrap();
        drop((service, disk));

        let disk = Mount::image(&copy).unwrap();
        service::check(&disk.path().join("state"), &acknowledged).await;
    }
}

/// Stops every thread of the service, and waits until none is inside a flush.
fn stop(service: &Service) {
    let id = service.id().to_string();
    assert!(run("kill", &["-STOP", &id]));
    let tasks = Path::new("/proc").join(&id).join("task");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fs::read_dir(&tasks)
        .unwrap()
        .all(|task| is_stopped(&task.unwrap().path()))
    {
        assert!(Instant::now() < deadline, "the service does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_stopped(task: &Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).unwrap();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| state.starts_with('T'))
}
