//! Country → region. In: an ISO 3166 code as the load balancer in front writes it. Out: where the content comes from.

/// Where content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    Europe,
    Americas,
    AsiaPacific,
}

impl Region {
    /// The region that serves a country. Unknown, malformed and absent codes go where most visitors are.
    pub(crate) fn for_country(code: Option<&str>) -> Self {
        match code.map(str::trim).map(str::to_ascii_uppercase).as_deref() {
            Some("US" | "CA" | "MX" | "BR" | "AR" | "CL" | "CO" | "PE") => Self::Americas,
            Some(
                "JP" | "KR" | "CN" | "TW" | "HK" | "SG" | "IN" | "ID" | "AU" | "NZ" | "TH" | "VN"
                | "PH" | "MY",
            ) => Self::AsiaPacific,
            _ => Self::Europe,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Europe => "europe",
            Self::Americas => "americas",
            Self::AsiaPacific => "asia-pacific",
        }
    }

    pub(crate) fn currency(self) -> &'static str {
        match self {
            Self::Europe => "EUR",
            Self::Americas => "USD",
            Self::AsiaPacific => "SGD",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_a_country_to_its_region_in_any_case() {
        assert_eq!(Region::for_country(Some("us")), Region::Americas);
        assert_eq!(Region::for_country(Some(" JP ")), Region::AsiaPacific);
        assert_eq!(Region::for_country(Some("DE")), Region::Europe);
    }

    #[test]
    fn routes_what_it_does_not_know_to_the_default() {
        for code in [None, Some(""), Some("XX"), Some("USA"), Some("US, JP")] {
            assert_eq!(Region::for_country(code), Region::Europe, "{code:?}");
        }
    }
}
