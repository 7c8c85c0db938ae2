//! The service: one path, two methods. In: a request, a bucket, a clock. Out: a token or why not, and the answer that says so.

use answer::Answer;

use crate::{Fault, Refusal, Rejection, Token, bearer};

/// The part of a request that decides.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Every value of the header, in order.
    pub authorization: &'a [Vec<u8>],
}

/// The whole answer to a request. `record` reads the bucket, `now_s` the clock; neither is called for a request that cannot be valid.
/// What was not accepted is reported to `log`, once.
pub fn answer(
    request: Request<'_>,
    record: impl FnOnce(&str) -> Result<Option<Vec<u8>>, Fault>,
    now_s: impl FnOnce() -> u64,
    log: impl FnOnce(&Rejection),
) -> Answer {
    if request.path != "/auth/validate" {
        return Answer::empty(404);
    }
    // HEAD is GET without the body, which the server leaves out.
    if !matches!(request.method, "GET" | "HEAD" | "POST") {
        return Answer::empty(405).with("allow", "GET, HEAD, POST");
    }
    match validate(request.authorization, record, now_s) {
        Ok(token) => accepted(&token),
        Err(rejection) => {
            log(&rejection);
            rejected(&rejection)
        }
    }
}

/// The token of the key in the request.
pub fn validate(
    authorization: &[Vec<u8>],
    record: impl FnOnce(&str) -> Result<Option<Vec<u8>>, Fault>,
    now_s: impl FnOnce() -> u64,
) -> Result<Token, Rejection> {
    let key = bearer::key(authorization)?;
    let record = record(key)?.ok_or(Refusal::UnknownKey)?;
    Ok(Token::from_record(&record)?.valid_at(now_s())?)
}

/// The body of every answer; the order of the fields is part of the contract.
#[derive(serde::Serialize)]
struct Verdict<'a> {
    valid: bool,
    user_id: Option<&'a str>,
    expires_at: Option<u64>,
}

fn accepted(token: &Token) -> Answer {
    json(
        200,
        &Verdict {
            valid: true,
            user_id: Some(&token.user_id),
            expires_at: Some(token.expires_at),
        },
    )
}

fn rejected(rejection: &Rejection) -> Answer {
    let nobody = Verdict {
        valid: false,
        user_id: None,
        expires_at: None,
    };
    match rejection {
        // RFC 9110, 11.6.1: a 401 "MUST send a WWW-Authenticate header field".
        Rejection::Refused(_) => json(401, &nobody).with("www-authenticate", "Bearer"),
        Rejection::Failed(_) => json(500, &nobody),
    }
}

/// Never cached: a key may expire or be withdrawn the next moment.
fn json(status: u16, verdict: &Verdict<'_>) -> Answer {
    Answer::json(status, serde_json::to_vec(verdict).unwrap_or_default())
        .with("cache-control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn bucket(key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(match key {
            "key_123" => Some(br#"{"user_id":"user_123","expires_at":4102444800}"#.to_vec()),
            "key_000" => Some(br#"{"user_id":"user_000","expires_at":1577836800}"#.to_vec()),
            "broken" => Some(b"user_123".to_vec()),
            "offline" => return Err(Fault::Bucket("no such store".into())),
            _ => None,
        })
    }

    fn outcome(authorization: &[&str]) -> Result<Token, Rejection> {
        let values: Vec<Vec<u8>> = authorization
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        validate(&values, bucket, || NOW_S)
    }

    fn get(method: &str, path: &str, authorization: &str) -> Answer {
        let authorization = [authorization.as_bytes().to_vec()];
        answer(
            Request {
                method,
                path,
                authorization: &authorization,
            },
            bucket,
            || NOW_S,
            |_| (),
        )
    }

    #[test]
    fn tells_the_four_refusals_apart_inside() {
        assert_eq!(outcome(&[]), Err(Refusal::MissingHeader.into()));
        assert_eq!(
            outcome(&["Basic key_123"]),
            Err(Refusal::WrongScheme.into())
        );
        assert_eq!(
            outcome(&["Bearer key_999"]),
            Err(Refusal::UnknownKey.into())
        );
        assert_eq!(
            outcome(&["Bearer key_000"]),
            Err(Refusal::ExpiredKey.into())
        );
    }

    #[test]
    fn gives_the_four_refusals_one_answer_outside() {
        let unknown = get("GET", "/auth/validate", "Bearer key_999");
        assert_eq!(unknown.status, 401);
        assert_eq!(
            unknown.body,
            br#"{"valid":false,"user_id":null,"expires_at":null}"#
        );
        for other in ["Basic key_123", "Bearer key_000", ""] {
            assert_eq!(get("GET", "/auth/validate", other), unknown);
        }
    }

    #[test]
    fn answers_a_valid_key_with_its_user() {
        for method in ["GET", "POST"] {
            let answer = get(method, "/auth/validate", "Bearer key_123");
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.body,
                br#"{"valid":true,"user_id":"user_123","expires_at":4102444800}"#
            );
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }

    #[test]
    fn does_not_blame_the_caller_for_a_fault_of_ours() {
        assert!(matches!(
            outcome(&["Bearer broken"]),
            Err(Rejection::Failed(Fault::Record(_)))
        ));
        assert!(matches!(
            outcome(&["Bearer offline"]),
            Err(Rejection::Failed(Fault::Bucket(_)))
        ));
        assert_eq!(get("GET", "/auth/validate", "Bearer broken").status, 500);
    }

    #[test]
    fn tells_a_wrong_path_from_a_wrong_method() {
        assert_eq!(get("GET", "/auth/other", "Bearer key_123").status, 404);
        let wrong = get("DELETE", "/auth/validate", "Bearer key_123");
        assert_eq!(
            (wrong.status, wrong.header("allow")),
            (405, Some("GET, HEAD, POST"))
        );
    }

    #[test]
    fn reads_neither_bucket_nor_clock_without_a_key() {
        let rejected = validate(
            &[],
            |_| panic!("read the bucket"),
            || panic!("read the clock"),
        );
        assert_eq!(rejected, Err(Refusal::MissingHeader.into()));
    }
}
