//! Reading the environment: names, precedence, and the formats that OpenTelemetry gives its variables.

use std::path::Path;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue};

use super::{ConfigError, Endpoint};

/// The variables that the exporter reads.
pub(crate) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

/// A PEM file that was read, and who named it.
pub(crate) struct PemFile {
    pub(crate) pem: Vec<u8>,
    path: String,
    source_name: &'static str,
}

impl PemFile {
    pub(crate) fn refused(self, reason: &str) -> ConfigError {
        ConfigError::Certificate {
            path: self.path,
            source_name: self.source_name,
            reason: reason.to_owned(),
        }
    }
}

/// The names of an exporter's variable, the one for traces first.
macro_rules! otlp_names {
    ($($suffix:literal)*) => {
        fn otlp_names(suffix: &str) -> [&'static str; 2] {
            match suffix {
                $($suffix => [
                    concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix),
                    concat!("OTEL_EXPORTER_OTLP_", $suffix),
                ],)*
                _ => unreachable!("every suffix in use is in the list below"),
            }
        }
    };
}

otlp_names! {
    "CERTIFICATE" "CLIENT_CERTIFICATE" "CLIENT_KEY" "COMPRESSION" "ENDPOINT" "HEADERS" "INSECURE" "PROTOCOL" "TIMEOUT"
}

impl<'a> Environment<'a> {
    pub(crate) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable }
    }

    /// The variable's text; an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.trim().is_empty())
    }

    /// The exporter's variable with this suffix, and its name.
    pub(crate) fn otlp(&self, suffix: &str) -> Option<(String, &'static str)> {
        otlp_names(suffix).into_iter().find_map(|name| Some((self.get(name)?, name)))
    }

    /// The word of an argument or else of the environment, trimmed and in lower case, and where it is from.
    pub(crate) fn otlp_word(
        &self,
        argument: Option<&str>,
        argument_name: &'static str,
        suffix: &str,
    ) -> (Option<String>, &'static str) {
        let plain = |text: &str| text.trim().to_ascii_lowercase();
        match (argument, self.otlp(suffix)) {
            (Some(text), _) => (Some(plain(text)), argument_name),
            (None, Some((text, name))) => (Some(plain(&text)), name),
            (None, None) => (None, argument_name),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let text = self.get(name)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => ignored(name, &text, "true or false"),
        }
    }

    pub(crate) fn otlp_flag(&self, suffix: &str) -> Option<bool> {
        otlp_names(suffix).into_iter().find_map(|name| self.flag(name))
    }

    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        let text = self.get(name)?;
        text.trim().parse().ok().or_else(|| ignored(name, &text, "a whole number, not negative"))
    }

    pub(crate) fn millis(&self, name: &str) -> Option<Duration> {
        self.count(name).map(|count| Duration::from_millis(count as u64))
    }

    pub(crate) fn otlp_millis(&self, suffix: &str) -> Option<Duration> {
        otlp_names(suffix).into_iter().find_map(|name| self.millis(name))
    }

    /// `NAME=VALUE` pairs with a comma between, values percent-encoded, as in W3C Baggage.
    pub(crate) fn otlp_headers(&self) -> Result<Vec<(String, String)>, ConfigError> {
        match self.otlp("HEADERS") {
            Some((text, name)) => checked_headers(pairs(&text, name)?.into_iter(), name),
            None => Ok(Vec::new()),
        }
    }

    /// The resource's attributes, in the same form. What cannot be read is left out as a whole, with a warning.
    pub(crate) fn resource_attributes(&self) -> Vec<(String, String)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let Some(text) = self.get(NAME) else { return Vec::new() };
        let pairs = pairs(&text, NAME).ok();
        pairs
            .or_else(|| ignored(NAME, &text, "NAME=VALUE pairs, commas between"))
            .unwrap_or_default()
    }

    /// The PEM file that an argument or else the environment names.
    pub(crate) fn otlp_file(
        &self,
        argument: Option<&Path>,
        argument_name: &'static str,
        suffix: &str,
    ) -> Result<Option<PemFile>, ConfigError> {
        let (path, source_name) = match (argument, self.otlp(suffix)) {
            (Some(path), _) => (path.to_owned(), argument_name),
            (None, Some((path, name))) => (path.into(), name),
            (None, None) => return Ok(None),
        };
        let pem = std::fs::read(&path);
        let path = path.display().to_string();
        let file = PemFile { pem: Vec::new(), path, source_name };
        match pem {
            Ok(pem) if ureq::tls::parse_pem(&pem).any(|item| item.is_ok()) => {
                Ok(Some(PemFile { pem, ..file }))
            }
            Ok(_) => Err(file.refused("it has no PEM section, such as BEGIN CERTIFICATE")),
            Err(error) => Err(file.refused(&error.to_string())),
        }
    }

    /// The proxy that leads to the endpoint. One never leads to this machine.
    pub(crate) fn proxy_for(&self, endpoint: &Endpoint) -> Option<String> {
        let scheme = if endpoint.is_tls() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        if endpoint.is_loopback() || self.is_spared_a_proxy(endpoint.host()) {
            return None;
        }
        [scheme, "ALL_PROXY"]
            .into_iter()
            .find_map(|name| self.get(&name.to_ascii_lowercase()).or_else(|| self.get(name)))
    }

    /// Whether `NO_PROXY` names the host, or a domain that it is in.
    fn is_spared_a_proxy(&self, host: &str) -> bool {
        let list = self.get("no_proxy").or_else(|| self.get("NO_PROXY")).unwrap_or_default();
        list.split(',')
            .map(|entry| entry.trim().trim_start_matches("*.").trim_start_matches('.'))
            .any(|domain| {
                let inside = host.strip_suffix(domain);
                domain == "*"
                    || inside.is_some_and(|rest| {
                        !domain.is_empty() && (rest.is_empty() || rest.ends_with('.'))
                    })
            })
    }
}

/// Warns that a variable is not what it should be, and goes on without it.
fn ignored<T>(name: &str, text: &str, wanted: &str) -> Option<T> {
    log::warn!("{name}={text:?} is ignored: it takes {wanted}");
    None
}

fn pairs(text: &str, source_name: &'static str) -> Result<Vec<(String, String)>, ConfigError> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| match entry.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((percent_decoded(name.trim()), percent_decoded(value.trim())))
            }
            _ => Err(ConfigError::Header { header: entry.to_owned(), source_name }),
        })
        .collect()
}

/// Headers that HTTP allows, their names in lower case.
pub(crate) fn checked_headers(
    headers: impl Iterator<Item = (String, String)>,
    source_name: &'static str,
) -> Result<Vec<(String, String)>, ConfigError> {
    headers
        .map(|(name, value)| {
            let is_header = HeaderName::from_bytes(name.as_bytes()).is_ok()
                && HeaderValue::from_str(&value).is_ok();
            if is_header {
                Ok((name.to_ascii_lowercase(), value))
            } else {
                Err(ConfigError::Header { header: name, source_name })
            }
        })
        .collect()
}

/// The text with every `%41` made what it stands for (RFC 3986, section 2.1). A `%` without two hex digits stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_where_they_encode() {
        for (text, expected) in
            [("a%20b", "a b"), ("%41%zz%4", "A%zz%4"), ("100%", "100%"), ("%c3%a9", "é")]
        {
            assert_eq!(percent_decoded(text), expected);
        }
    }

    #[test]
    fn a_proxy_leads_neither_to_this_machine_nor_to_what_no_proxy_names() {
        let check = |endpoint: &str, expected: Option<&str>| {
            let variable = |name: &str| match name {
                "HTTPS_PROXY" => Some("http://secure:1".to_owned()),
                "all_proxy" => Some("http://any:1".to_owned()),
                "NO_PROXY" => Some("one.test, .two.test".to_owned()),
                _ => None,
            };
            let env = Environment::new(&variable);
            let endpoint =
                Endpoint::resolve(Some(endpoint), None, crate::Protocol::HttpProtobuf, &env)
                    .unwrap();
            assert_eq!(env.proxy_for(&endpoint).as_deref(), expected, "{endpoint}");
        };
        check("https://collector.test/v1/traces", Some("http://secure:1"));
        check("http://collector.test/v1/traces", Some("http://any:1"));
        check("http://localhost:4318/v1/traces", None);
        check("http://127.3.2.1:4318/v1/traces", None);
        check("http://[::1]:4318/v1/traces", None);
        check("https://one.test/v1/traces", None);
        check("https://a.two.test/v1/traces", None);
        check("https://notone.test/v1/traces", Some("http://secure:1"));
    }
}
