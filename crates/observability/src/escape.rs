//! Makes foreign bytes harmless in a log line.
//!
//! In: bytes a client or a guest chose, and how much room they get. Out: text without line ends, terminal controls, invisible
//! or reordering characters, that cannot leave its place in the line. Escapes are unambiguous outside JSON: a backslash is
//! doubled.

use std::fmt::Write as _;

/// Where the text will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the end of a human line: spaces are kept.
    Text,
    /// Between the spaces of a human line: spaces are escaped, so that no column can be forged.
    Word,
    /// Between the quotes of a JSON string.
    Json,
}

/// Whether all of it found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// All of it is there.
    Enough,
    /// The end is missing.
    Cut,
}

/// Appends `bytes`, escaped for `place`, using at most `limit_bytes` of output.
pub(crate) fn escape(into: &mut String, bytes: &[u8], place: Place, limit_bytes: usize) -> Room {
    // An escape is never shorter than what it stands for, so what lies beyond the limit cannot matter.
    let (shown, room) = match bytes.get(..limit_bytes) {
        Some(shown) if shown.len() < bytes.len() => (shown, Room::Cut),
        _ => (bytes, Room::Enough),
    };
    if let (true, Ok(plain)) = (
        shown.iter().all(|&byte| is_plain(byte, place)),
        str::from_utf8(shown),
    ) {
        into.push_str(plain);
        return room;
    }
    let end = into.len() + limit_bytes;
    let mut chunks = shown.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for character in chunk.valid().chars() {
            if !push_character(into, character, place, end) {
                return Room::Cut;
            }
        }
        if room == Room::Cut && chunks.peek().is_none() {
            break; // what looks invalid is a character cut in two
        }
        for byte in chunk.invalid() {
            if !push_byte(into, *byte, place, end) {
                return Room::Cut;
            }
        }
    }
    room
}

fn is_plain(byte: u8, place: Place) -> bool {
    match byte {
        b'\\' => false,
        b' ' => place != Place::Word,
        b'"' => place != Place::Json,
        _ => byte.is_ascii_graphic(),
    }
}

fn push_character(into: &mut String, character: char, place: Place, end: usize) -> bool {
    let start = into.len();
    let written = match (character, place) {
        ('\\', _) => into.write_str("\\\\"),
        ('"', Place::Json) => into.write_str("\\\""),
        ('\n', _) => into.write_str("\\n"),
        ('\r', _) => into.write_str("\\r"),
        ('\t', _) => into.write_str("\\t"),
        (' ', Place::Word) => into.write_str("\\x20"),
        _ if !is_deceptive(character) => into.write_char(character),
        (_, Place::Json) => character
            .encode_utf16(&mut [0; 2])
            .iter()
            .try_for_each(|unit| write!(into, "\\u{unit:04x}")),
        _ if character.is_ascii() => write!(into, "\\x{:02x}", u32::from(character)),
        _ => write!(into, "\\u{{{:x}}}", u32::from(character)),
    };
    keep_within(into, start, end) && written.is_ok()
}

/// A byte that is no UTF-8. In JSON the backslash itself needs one.
fn push_byte(into: &mut String, byte: u8, place: Place, end: usize) -> bool {
    let start = into.len();
    let backslash = if place == Place::Json { "\\\\" } else { "\\" };
    let written = write!(into, "{backslash}x{byte:02x}");
    keep_within(into, start, end) && written.is_ok()
}

fn keep_within(into: &mut String, start: usize, end: usize) -> bool {
    let fits = into.len() <= end;
    if !fits {
        into.truncate(start);
    }
    fits
}

/// Characters that move the cursor, end a line, hide, or change the direction of what follows (Unicode TR 36, "Trojan Source").
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8], place: Place) -> String {
        let mut line = String::new();
        assert_eq!(escape(&mut line, bytes, place, 8_192), Room::Enough);
        line
    }

    #[test]
    fn shows_hostile_bytes_as_escapes() {
        for (bytes, text, json) in [
            (
                &b"plain /path?x=1"[..],
                "plain /path?x=1",
                "plain /path?x=1",
            ),
            ("grüße 舟 🛶".as_bytes(), "grüße 舟 🛶", "grüße 舟 🛶"),
            (
                b"a\r\n2026 200 GET /forged",
                "a\\r\\n2026 200 GET /forged",
                "a\\r\\n2026 200 GET /forged",
            ),
            (
                b"\x1b[31mred\x1b[0m",
                "\\x1b[31mred\\x1b[0m",
                "\\u001b[31mred\\u001b[0m",
            ),
            (
                b"\",\"status\":200}",
                "\",\"status\":200}",
                "\\\",\\\"status\\\":200}",
            ),
            (
                b"nul\0tab\tdel\x7f",
                "nul\\x00tab\\tdel\\x7f",
                "nul\\u0000tab\\tdel\\u007f",
            ),
            (
                b"back\\slash \\n",
                "back\\\\slash \\\\n",
                "back\\\\slash \\\\n",
            ),
            (
                b"\xff\xfe ok \xc3",
                "\\xff\\xfe ok \\xc3",
                "\\\\xff\\\\xfe ok \\\\xc3",
            ),
            ("\u{9b}31m c1".as_bytes(), "\\u{9b}31m c1", "\\u009b31m c1"),
            (
                "\u{202e}evil\u{2028}".as_bytes(),
                "\\u{202e}evil\\u{2028}",
                "\\u202eevil\\u2028",
            ),
            ("\u{e0041}".as_bytes(), "\\u{e0041}", "\\udb40\\udc41"),
            (b"", "", ""),
        ] {
            assert_eq!(escaped(bytes, Place::Text), text);
            assert_eq!(escaped(bytes, Place::Json), json);
        }
        assert_eq!(escaped(b"/a b", Place::Word), "/a\\x20b");
    }

    #[test]
    fn is_always_one_line_and_in_json_always_one_string() {
        for value in 0..=0x10_ffff {
            let Some(character) = char::from_u32(value) else {
                continue;
            };
            let text = character.to_string();
            let json = escaped(text.as_bytes(), Place::Json);
            assert_eq!(
                serde_json::from_str::<String>(&format!("\"{json}\"")).unwrap(),
                text
            );
            for place in [Place::Text, Place::Word, Place::Json] {
                let shown = escaped(text.as_bytes(), place);
                assert!(!shown.chars().any(|shown| shown.is_control()), "{shown:?}");
            }
        }
        for byte in 0..=255_u8 {
            let json = escaped(&[byte, b'"', byte], Place::Json);
            assert!(
                serde_json::from_str::<String>(&format!("\"{json}\"")).is_ok(),
                "{json}"
            );
        }
    }

    #[test]
    fn cuts_before_the_limit_and_between_characters() {
        let mut line = String::from("x");
        assert_eq!(escape(&mut line, b"abcdef", Place::Text, 4), Room::Cut);
        assert_eq!(line, "xabcd");
        for (bytes, limit, shown) in [
            ("aé".as_bytes(), 2, "a"),
            (b"a\x01b", 4, "a"),
            (b"a\x01b", 5, "a\\x01"),
            ("ééé".as_bytes(), 5, "éé"),
        ] {
            let mut line = String::new();
            assert_eq!(escape(&mut line, bytes, Place::Text, limit), Room::Cut);
            assert_eq!(line, shown);
        }
        let mut line = String::new();
        let huge = vec![0x1b_u8; 10 << 20];
        assert_eq!(escape(&mut line, &huge, Place::Json, 8_192), Room::Cut);
        assert!(line.len() <= 8_192);
    }
}
