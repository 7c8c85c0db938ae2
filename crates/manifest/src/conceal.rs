//! What a message may show of a file. In: its text. Out: the same text, byte for byte as long, with `*` where a person may have
//! written a secret in the wrong place: a message is read by more people than the file is.
//!
//! Goes by the letters alone, so that it holds in a file that is not TOML as well. A reference in a table stays to be seen.

/// Names of keys whose value is not for other eyes, wherever they stand.
const SECRET_KEYS: [&str; 6] = [
    "password",
    "token",
    "value",
    "authorization",
    "proxy-authorization",
    "cookie",
];

/// Ends of such names: `x-api-key`, `STRIPE_SECRET`.
const SECRET_WORDS: [&str; 4] = ["password", "token", "key", "secret"];

/// `text` with secrets concealed; places in it stay where they are.
pub(crate) fn concealed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = conceal_values(line);
        shown.push_str(&conceal_userinfo(&line));
    }
    shown
}

/// `password = "***"`
fn conceal_values(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((key, value)) = rest.split_once('=') {
        shown.push_str(key);
        shown.push('=');
        rest = value;
        if is_secret(key) {
            let (before, secret, after) = value_of(value);
            shown.push_str(before);
            shown.extend(std::iter::repeat_n('*', secret.len()));
            rest = after;
        }
    }
    shown + rest
}

fn is_secret(before: &str) -> bool {
    let key = before.trim_end().trim_end_matches(['"', '\'']);
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let key = key.rsplit(|c| !inside(c)).next().unwrap_or_default();
    let key = key.to_ascii_lowercase();
    let last = key.rsplit_once(['-', '_']).map(|(_, last)| last);
    SECRET_KEYS.contains(&key.as_str()) || last.is_some_and(|last| SECRET_WORDS.contains(&last))
}

/// A value: what stands before its text, the text, and what follows.
fn value_of(value: &str) -> (&str, &str, &str) {
    let text = value.trim_start();
    let quotes = text.len() - text.trim_start_matches(['"', '\'']).len();
    let (before, text) = value.split_at(value.len() - text.len() + quotes.min(3));
    // A table is a reference: its own keys are looked at in turn.
    if text.starts_with('{') && quotes == 0 {
        return (before, "", text);
    }
    let last = before
        .chars()
        .next_back()
        .filter(|c| matches!(c, '"' | '\''));
    let end = match last {
        Some(quote) => closing(text, quote),
        None => text.find([',', '}', '\n', '\r']),
    };
    let (secret, after) = text.split_at(end.unwrap_or(text.trim_end().len()));
    (before, secret, after)
}

/// Where the text ends: at a quote that is not escaped, or at the end of the line.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if quote == '"' && !escaped => escaped = true,
            c if c == quote && !escaped => return Some(at),
            _ => escaped = false,
        }
    }
    None
}

/// `redis://****@host`
fn conceal_userinfo(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, url)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = url.find(['"', '\'', ' ', '\t', '\n']).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        match url.rsplit_once('@') {
            Some((secret, host)) => {
                shown.extend(std::iter::repeat_n('*', secret.len()));
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(url),
        }
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (text, shown) in [
            ("password = \"hunter2\"", "password = \"*******\""),
            ("password = 'hunter2' # x", "password = '*******' # x"),
            ("password = hunter2\n", "password = *******\n"),
            ("a.password=\"hunter2", "a.password=\"*******"),
            ("\"token\" = \"hun\\\"er2\"", "\"token\" = \"********\""),
            ("x = { value = \"hunter2\" }", "x = { value = \"*******\" }"),
            ("x = { value = hunter2 }", "x = { value = ********}"),
            (
                "{ Authorization = \"hunter2\"",
                "{ Authorization = \"*******\"",
            ),
            ("token = \"\"\"hunter2\"\"\"", "token = \"\"\"*******\"\"\""),
            (
                "url = \"redis://:hunter2@h:1/0\"",
                "url = \"redis://********@h:1/0\"",
            ),
            ("url = redis://u:hunt@r2@h", "url = redis://*********@h"),
            ("stripe-key = \"sk\", x = 1", "stripe-key = \"**\", x = 1"),
            ("password = \"é\"", "password = \"**\""),
        ] {
            assert_eq!(concealed(text), shown);
        }
    }

    #[test]
    fn a_reference_is_shown() {
        for text in [
            "password = { file = \"/run/secrets/redis\" }",
            "token = { env = \"VAULT_TOKEN\" }\r\nurl = \"redis://h/0\"\n",
            "secrets = [\"tax-key\"]",
            "key = \"client.pem\"",
            "",
        ] {
            assert_eq!(concealed(text), text);
        }
    }
}
