use std::time::UNIX_EPOCH;

use super::*;

/// A log in a file that the test reads when it has written.
struct Fixture {
    file: tempfile::NamedTempFile,
    log: GuestLog,
    start: Instant,
}

impl Fixture {
    fn new(format: Format, rate: LineRate) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = LogWriter::new(file.reopen().unwrap(), format).unwrap();
        Self {
            file,
            log: GuestLog::new(writer, rate),
            start: Instant::now(),
        }
    }

    fn say(&self, component: &str, source: Source<'_>, message: &[u8], at_ms: u64) {
        let passed = Duration::from_millis(at_ms);
        let request_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let line = GuestLine {
            app: "shop",
            component,
            request_id,
            source,
            message,
        };
        self.log
            .write_at(&line, self.start + passed, UNIX_EPOCH + passed);
    }

    fn lines(&self) -> Vec<String> {
        assert!(self.log.writer.flush(Duration::from_secs(5)));
        std::fs::read_to_string(self.file.path())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

const WARN: Source<'_> = Source::Log {
    level: Level::Warn,
    context: "db pool",
};

#[test]
fn writes_one_line_per_line_with_who_said_it_first() {
    let fixture = Fixture::new(Format::Human, LineRate::default());
    fixture.say(
        "orders",
        Source::Stdout,
        b"first\nsecond\r\n\n third\ttab\n",
        1,
    );
    fixture.say("auth", WARN, b"one\r\nmessage", 2);
    fixture.say("auth", Source::Stderr, b"", 3);
    assert_eq!(
        fixture.lines(),
        [
            "1970-01-01T00:00:00.001Z shop/orders 4bf92f3577b34da6a3ce929d0e0e4736 stdout: first",
            "1970-01-01T00:00:00.001Z shop/orders 4bf92f3577b34da6a3ce929d0e0e4736 stdout: second",
            "1970-01-01T00:00:00.001Z shop/orders 4bf92f3577b34da6a3ce929d0e0e4736 stdout: ",
            "1970-01-01T00:00:00.001Z shop/orders 4bf92f3577b34da6a3ce929d0e0e4736 stdout:  third\\ttab",
            "1970-01-01T00:00:00.002Z shop/auth 4bf92f3577b34da6a3ce929d0e0e4736 warn db\\x20pool: one\\r\\nmessage",
            "1970-01-01T00:00:00.003Z shop/auth 4bf92f3577b34da6a3ce929d0e0e4736 stderr: ",
        ]
    );
}

#[test]
fn no_guest_can_forge_a_line_of_another() {
    let forged = br#"","app":"bank","component":"ledger","message":"paid"}"#;
    let fixture = Fixture::new(Format::Json, LineRate::default());
    let attacks: [&[u8]; 6] = [
        forged,
        b"x\r\n{\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"guest\",\"app\":\"bank\"}",
        b"\x1b[2K\x1b[1A1970-01-01T00:00:00.000Z bank/ledger stdout: paid",
        b"\0\x08\x08\x08\x7f",
        b"\xff\xfe\xed\xa0\x80\xc0\x80 invalid",
        b"\xe2\x80\xa8line separator\xe2\x80\xae",
    ];
    for attack in attacks {
        fixture.say("evil", Source::Stdout, attack, 0);
        fixture.say(
            "evil",
            Source::Log {
                level: Level::Info,
                context: std::str::from_utf8(forged).unwrap(),
            },
            attack,
            0,
        );
    }
    let lines = fixture.lines();
    assert_eq!(
        lines.len(),
        13,
        "one of them has two lines on standard output"
    );
    for line in &lines {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&read["app"], &read["component"]),
            (&"shop".into(), &"evil".into())
        );
        assert_eq!(
            line.matches("\"app\":").count(),
            1,
            "a grep for the key finds one: {line}"
        );
    }

    let fixture = Fixture::new(Format::Human, LineRate::default());
    for attack in attacks {
        fixture.say("evil", Source::Stdout, attack, 0);
    }
    let label = "1970-01-01T00:00:00.000Z shop/evil 4bf92f3577b34da6a3ce929d0e0e4736 stdout: ";
    for line in fixture.lines() {
        assert!(
            line.starts_with(label) && !line.chars().any(char::is_control),
            "{line:?}"
        );
    }
}

#[test]
fn cuts_a_line_without_end_and_says_so() {
    for (format, mark) in [
        (Format::Human, "… (cut from 10485760 bytes)"),
        (Format::Json, "\"cut_from_bytes\":10485760}"),
    ] {
        let fixture = Fixture::new(format, LineRate::default());
        fixture.say("evil", Source::Stdout, &vec![b'A'; 10 << 20], 0);
        let lines = fixture.lines();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].len() < LINE_BYTES + 256 && lines[0].ends_with(mark),
            "{} bytes",
            lines[0].len()
        );
    }
}

#[test]
fn a_flood_is_bounded_per_component_and_told_once() {
    let fixture = Fixture::new(
        Format::Human,
        LineRate {
            per_second: 10,
            burst: 20,
        },
    );
    for _ in 0..100 {
        fixture.say("evil", Source::Stdout, b"spam", 0);
    }
    fixture.say("auth", Source::Stdout, b"heard", 0);
    fixture.say("evil", Source::Stdout, b"a\nb\nc\n", 100);
    fixture.log.add_dropped("shop", "evil", 5);
    fixture.log.report_dropped_at(UNIX_EPOCH);
    fixture.log.report_dropped_at(UNIX_EPOCH);
    let lines = fixture.lines();
    assert_eq!(
        lines.iter().filter(|line| line.ends_with("spam")).count(),
        20
    );
    assert_eq!(
        lines.iter().filter(|line| line.ends_with("heard")).count(),
        1,
        "a neighbour is not silenced"
    );
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "1970-01-01T00:00:00.100Z shop/evil 4bf92f3577b34da6a3ce929d0e0e4736 stdout: a"
                .to_owned(),
            "1970-01-01T00:00:00.000Z shop/evil 87 lines dropped: it says more than it may"
                .to_owned(),
        ]
    );
    assert_eq!(fixture.log.dropped(), 87);
}

#[tokio::test(start_paused = true)]
async fn drops_are_told_once_per_second() {
    let fixture = Fixture::new(
        Format::Json,
        LineRate {
            per_second: 1,
            burst: 1,
        },
    );
    let flood = async {
        for _ in 0..3 {
            fixture.say("evil", Source::Stdout, b"x\nx\nx\nx", 0);
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
    };
    tokio::select! {
        () = fixture.log.report_every_second() => {}
        () = flood => {}
    }
    let told: Vec<_> = fixture
        .lines()
        .iter()
        .filter_map(|line| line.split("\"lines_dropped\":").nth(1).map(str::to_owned))
        .collect();
    assert_eq!(told, ["7}", "4}"]);
}
