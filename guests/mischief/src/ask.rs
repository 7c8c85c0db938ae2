//! The behaviour a test asks for. In: a path with its query. Out: the path and the parameters, percent-decoded.

/// A behaviour and its parameters.
#[derive(Debug, Clone)]
pub struct Ask {
    path: String,
    parameters: Vec<(String, String)>,
}

impl Ask {
    pub fn new(path_with_query: &str) -> Self {
        let (path, query) = path_with_query
            .split_once('?')
            .unwrap_or((path_with_query, ""));
        let parameters = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        Self {
            path: path.to_owned(),
            parameters,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// A parameter's text, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(found, _)| found == name)
            .map_or("", |(_, value)| value)
    }

    /// A parameter's number, `otherwise` when absent or none.
    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.text(name).parse().unwrap_or(otherwise)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let (decoded, tail) = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => (hex(*high) << 4 | hex(*low), tail),
            (b'+', tail) => (b' ', tail),
            (byte, tail) => (*byte, tail),
        };
        bytes.push(decoded);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let ask = Ask::new("/fetch?url=http%3A%2F%2Fa%3Fb%3Dc&ms=5&flag");
        assert_eq!(
            (ask.path(), ask.text("url"), ask.number("ms", 0)),
            ("/fetch", "http://a?b=c", 5)
        );
        assert_eq!((ask.text("flag"), ask.number("absent", 7)), ("", 7));
    }
}
