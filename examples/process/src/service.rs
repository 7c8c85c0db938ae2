//! The service: one path, one method. In: a configuration, an input, the time. Out: an answer in JSON that says how it went, and when.

use answer::Answer;

use crate::{config::Config, timestamp};

/// What came of reading the request body.
#[derive(Debug)]
pub(crate) enum Input {
    Whole(Vec<u8>),
    TooLong,
    Broken,
}

/// The answer to a request that is for nothing here; none if it is.
pub(crate) fn refusal(method: &str, path: &str) -> Option<Answer> {
    match (path, method) {
        ("/process", "POST") => None,
        ("/process", _) => Some(Answer::empty(405).with("allow", "POST")),
        _ => Some(Answer::empty(404)),
    }
}

/// The answer to an input.
pub(crate) fn answer(config: &Config, input: Input, now_s: u64) -> Answer {
    let (service, timestamp) = (config.service.as_str(), timestamp::rfc3339(now_s));
    let (status, report) = match upper_case(input, config.max_input_bytes) {
        Ok(output) => (
            200,
            Report::Ok {
                output,
                service,
                timestamp,
            },
        ),
        Err((status, reason)) => (
            status,
            Report::Error {
                reason,
                service,
                timestamp,
            },
        ),
    };
    Answer::json(status, serde_json::to_vec(&report).unwrap_or_default())
}

fn upper_case(input: Input, max_bytes: usize) -> Result<String, (u16, String)> {
    match input {
        Input::TooLong => Err((413, format!("the input is longer than {max_bytes} bytes"))),
        Input::Broken => Err((400, "the input broke off".to_owned())),
        Input::Whole(bytes) => String::from_utf8(bytes)
            .map(|text| text.to_uppercase())
            .map_err(|error| {
                (
                    400,
                    format!(
                        "the input is not UTF-8 at byte {}",
                        error.utf8_error().valid_up_to()
                    ),
                )
            }),
    }
}

/// The answer when the file is missing or wrong. What is wrong is for the operator's log, not for the caller.
pub(crate) fn misconfigured() -> Answer {
    Answer::json(
        500,
        r#"{"status":"error","reason":"the service is not configured"}"#,
    )
}

/// The body of every other answer: `output` when it went well, `reason` when not.
#[derive(serde::Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Report<'a> {
    Ok {
        output: String,
        service: &'a str,
        timestamp: String,
    },
    Error {
        reason: String,
        service: &'a str,
        timestamp: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            service: "process".into(),
            max_input_bytes: 8,
        }
    }

    fn body(input: Input) -> (u16, String) {
        let answer = answer(&config(), input, 0);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn answers_in_upper_case_with_status_and_time_stamp() {
        let expected = r#"{"status":"ok","output":"STRASSE 1","service":"process","timestamp":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(
            body(Input::Whole("straße 1".into())),
            (200, expected.to_owned())
        );
    }

    #[test]
    fn says_what_was_wrong_with_the_input() {
        let (status, text) = body(Input::Whole(b"ab\xff".to_vec()));
        assert_eq!(
            (status, text.contains("not UTF-8 at byte 2")),
            (400, true),
            "{text}"
        );
        let (status, text) = body(Input::TooLong);
        assert_eq!(
            (status, text.contains("longer than 8 bytes")),
            (413, true),
            "{text}"
        );
        assert_eq!(body(Input::Broken).0, 400);
    }

    #[test]
    fn tells_a_wrong_path_from_a_wrong_method() {
        assert_eq!(refusal("POST", "/process"), None);
        assert_eq!(
            refusal("GET", "/process").map(|answer| answer.status),
            Some(405)
        );
        assert_eq!(
            refusal("POST", "/other").map(|answer| answer.status),
            Some(404)
        );
    }
}
