use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    sync::mpsc,
};

use super::*;

#[test]
fn writes_lines_in_order_and_flushes_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = LogWriter::new(file.reopen().unwrap(), Format::Human).unwrap();
    for number in 0..1_000 {
        log.line(|line| line.push_str(&format!("line {number}")));
    }
    assert!(log.flush(Duration::from_secs(5)));
    let expected: String = (0..1_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), expected);
    assert_eq!(log.lost(), 0);
}

#[test]
fn a_full_pipe_loses_and_counts_lines_and_never_blocks_who_logs() {
    let (unread, pipe) = io::pipe().unwrap();
    let log = LogWriter::with_capacity(pipe, Format::Json, 64 << 10).unwrap();
    let text = "x".repeat(999);
    let mut said: u64 = 0;
    let mut say = |lines: u64| {
        said += lines;
        (0..lines).for_each(|_| log.line(|line| line.push_str(&text)));
        said
    };
    while log.flush(Duration::from_millis(50)) {
        say(20); // until the pipe is full
    }
    let before = log.lost();
    let began = Instant::now();
    let said = say(2_000);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "logging waited for the sink"
    );
    // Of two megabytes, the queue takes 64 KiB.
    assert!(
        (1_900..2_000).contains(&(log.lost() - before)),
        "{} lost",
        log.lost() - before
    );
    let began = Instant::now();
    assert!(
        !log.flush(Duration::from_millis(50)),
        "the sink is still blocked"
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "a drain waited for the sink"
    );

    let lost = log.lost();
    let (send, received) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(unread)
            .lines()
            .for_each(|line| send.send(line.unwrap()).unwrap())
    });
    assert!(log.flush(Duration::from_secs(5)), "it flows again");
    drop(log);
    let lines: Vec<String> = received.iter().collect();
    let (told, kept): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with('{'));
    assert_eq!(
        u64::try_from(kept.len()).unwrap() + lost,
        said,
        "every line is written or counted"
    );
    let told: u64 = told
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["lines_lost"]
                .as_u64()
                .unwrap()
        })
        .sum();
    assert_eq!(told, lost);
}

#[test]
fn a_sink_that_fails_costs_its_lines_and_does_not_glue_the_next_to_a_torn_one() {
    /// Takes ten bytes, fails once, then works: a disk that was full.
    struct FullOnce(File, u32);
    impl Write for FullOnce {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 {
                1 => self.0.write(&bytes[..10]),
                2 => Err(io::ErrorKind::StorageFull.into()),
                _ => self.0.write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = LogWriter::new(FullOnce(file.reopen().unwrap(), 0), Format::Human).unwrap();
    log.line(|line| line.push_str("this line is torn"));
    assert!(log.flush(Duration::from_secs(5)));
    assert_eq!(log.lost(), 1);
    log.line(|line| line.push_str("this one is whole"));
    assert!(log.flush(Duration::from_secs(5)));
    let mut text = String::new();
    File::open(file.path())
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.starts_with("this line \nthis one is whole\n"),
        "{text}"
    );
    assert!(
        text.ends_with(" WARN 1 lines lost: the log was written faster than it was taken\n"),
        "{text}"
    );
}

#[test]
fn what_is_queued_is_written_when_the_last_handle_goes() {
    let (read, pipe) = io::pipe().unwrap();
    let log = LogWriter::new(pipe, Format::Human).unwrap();
    log.clone().line(|line| line.push_str("last words"));
    drop(log);
    assert_eq!(io::read_to_string(read).unwrap(), "last words\n");
}
