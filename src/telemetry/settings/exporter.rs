//! Reading where a signal is sent, and how. Each variable exists twice: `OTEL_EXPORTER_OTLP_X` for
//! all signals, and `OTEL_EXPORTER_OTLP_TRACES_X`, `_METRICS_X` and `_LOGS_X` for one of them.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::base_url;
use crate::telemetry::settings::variables::{Reader, millis, note};
use crate::telemetry::settings::{ExporterSettings, Protocol, Signal, TlsFiles};

/// Default time limit of one attempt to deliver, from the specification.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

impl<'a> Reader<'a> {
    pub(super) fn exporter(&mut self, signal: Signal) -> ExporterSettings {
        let protocol = self.protocol(signal);
        let url = self.endpoint(signal, protocol);
        let mut headers = self.headers(signal);
        if let Some(credentials) = base_url::credentials(&url) {
            headers.entry(AUTHORIZATION).or_insert(credentials);
        }
        let timeout = match signal {
            Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
            Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
        };
        let timeout = self
            .of_exporter(signal, "TIMEOUT", Self::above_zero)
            .or_else(|| self.above_zero(timeout));
        ExporterSettings {
            signal,
            protocol,
            endpoint: base_url::without_user(&url).into(),
            shown_endpoint: base_url::shown(&url),
            headers,
            timeout: timeout.map_or(EXPORT_TIMEOUT, millis),
            gzip: self.gzip(signal),
            tls: self.tls(signal),
        }
    }

    /// Reads a variable of an exporter. The one for the signal takes precedence over the one for
    /// all signals, unless its value is ignored.
    fn of_exporter<T>(
        &mut self,
        signal: Signal,
        suffix: &str,
        read: fn(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}");
        [own, format!("OTEL_EXPORTER_OTLP_{suffix}")]
            .into_iter()
            .find_map(|name| read(self, &name))
    }

    /// Reads a variable of an exporter for which any text is valid. Returns its name as well.
    fn exporter_text(&mut self, signal: Signal, suffix: &str) -> Option<(String, &'a str)> {
        self.of_exporter(signal, suffix, |reader, name| {
            Some((name.to_owned(), reader.text(name)?))
        })
    }

    fn protocol(&mut self, signal: Signal) -> Protocol {
        let protocol = self.of_exporter(signal, "PROTOCOL", |reader, name| {
            // JSON is not supported, but its endpoint speaks HTTP, and most accept protobuf too.
            let text = reader.text(name)?;
            if text.eq_ignore_ascii_case("http/json") {
                let ignored =
                    format!("{name} is \"{text}\"; sending http/protobuf, which it is nearest to");
                reader.ignored.push(ignored);
                return Some(Protocol::HttpProtobuf);
            }
            Some(match reader.one_of(name, &["grpc", "http/protobuf"])? {
                "grpc" => Protocol::Grpc,
                _ => Protocol::HttpProtobuf,
            })
        });
        protocol.unwrap_or(Protocol::Grpc)
    }

    /// Reads the endpoint; the default if it is invalid, which prevents the start.
    fn endpoint(&mut self, signal: Signal, protocol: Protocol) -> Url {
        let default = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        };
        let given = self.exporter_text(signal, "ENDPOINT");
        let (name, given) =
            given.unwrap_or_else(|| ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), default));
        let url = match protocol {
            Protocol::Grpc if !given.contains("://") => {
                let is_insecure = self.of_exporter(signal, "INSECURE", Self::boolean) == Some(true);
                let scheme = if is_insecure { "http" } else { "https" };
                base_url::parse(&format!("{scheme}://{given}"))
            }
            // The variable for all signals is a base URL; the one for a signal is used as it is.
            Protocol::HttpProtobuf if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => {
                let path = format!("v1/{}", signal.to_string().to_lowercase());
                base_url::parse(given).map(|base| base_url::extended(&base, &path))
            }
            _ => base_url::parse(given),
        };
        url.unwrap_or_else(|wrong| {
            let repair = "write a URL such as \"http://localhost:4317\"";
            note(self.problems, format!("{name} {wrong}; {repair}"));
            base_url::parse(default).expect("the default is a URL")
        })
    }

    fn headers(&mut self, signal: Signal) -> HeaderMap {
        let Some((name, given)) = self.exporter_text(signal, "HEADERS") else {
            return HeaderMap::new();
        };
        let mut headers = HeaderMap::new();
        for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
            match header(pair) {
                Some((key, value)) => _ = headers.append(key, value),
                // The pair is not shown, because it may hold a secret.
                None => note(
                    &mut self.ignored,
                    format!(
                        "{name} holds a pair that is not a header, which is ignored; write pairs such as \
                         \"x-team=finance%20ops\""
                    ),
                ),
            }
        }
        headers
    }

    fn gzip(&mut self, signal: Signal) -> bool {
        let given = self.of_exporter(signal, "COMPRESSION", |reader, name| {
            reader.one_of(name, &["gzip", "none"])
        });
        given == Some("gzip")
    }

    fn tls(&mut self, signal: Signal) -> TlsFiles {
        let mut file = |suffix| {
            self.exporter_text(signal, suffix)
                .map(|(_, path)| PathBuf::from(path))
        };
        let tls = TlsFiles {
            certificate: file("CERTIFICATE"),
            client_certificate: file("CLIENT_CERTIFICATE"),
            client_key: file("CLIENT_KEY"),
        };
        if tls.client_certificate.is_some() != tls.client_key.is_some() {
            let message = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY \
                           go together; set both";
            note(self.problems, message.to_owned());
        }
        tls
    }
}

/// A header from `key=value`, whose value is percent-encoded.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (key, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((key.trim().parse().ok()?, value))
}
