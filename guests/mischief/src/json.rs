//! The little JSON the guests write. In: text. Out: a JSON string.

/// A JSON string, quotes included.
pub fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A JSON array of pairs of strings.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("[{},{}]", string(name), string(value)))
        .collect();
    format!("[{}]", pairs.join(","))
}

/// A JSON array of strings.
pub fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!(
        "[{}]",
        texts.into_iter().map(string).collect::<Vec<_>>().join(",")
    )
}
