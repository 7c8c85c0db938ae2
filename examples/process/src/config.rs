//! `/etc/config.json`. In: its bytes. Out: a configuration, or what is wrong with it.

/// What the operator decides.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// How the service names itself in its answers.
    pub(crate) service: String,
    pub(crate) max_input_bytes: usize,
}

/// Why there is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a configuration: {0}")]
    Malformed(String),
}

impl Config {
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(bytes).map_err(|error| ConfigError::Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file_of_the_example() {
        let config = Config::from_json(include_bytes!("../etc/config.json"));
        assert_eq!(
            config,
            Ok(Config {
                service: "process".into(),
                max_input_bytes: 65_536
            })
        );
    }

    #[test]
    fn refuses_a_key_nobody_reads() {
        let error = Config::from_json(br#"{"service":"p","max_input_bytes":1,"colour":"red"}"#)
            .unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }
}
