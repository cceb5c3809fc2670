//! The resource: which service, and which instance of it, sends the spans.

use crate::config::environment::Environment;

/// OpenTelemetry's names for what a resource is.
const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// The attributes of the resource, and whether the instance's id was chosen here.
pub(crate) fn describe(
    service_name: Option<&str>,
    given: &[(String, String)],
    env: &Environment<'_>,
) -> (Vec<(String, String)>, bool) {
    let mut resource = Vec::new();
    set(&mut resource, "telemetry.sdk.name", "callboard");
    set(&mut resource, "telemetry.sdk.language", "rust");
    set(&mut resource, "telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
    for (key, value) in env.resource_attributes().iter().chain(given) {
        set(&mut resource, key, value);
    }
    let environment_name = env.get("OTEL_SERVICE_NAME");
    let has_given_name = given.iter().any(|(key, _)| key == SERVICE_NAME);
    match (service_name, environment_name) {
        (Some(name), _) => set(&mut resource, SERVICE_NAME, name),
        (None, Some(name)) if !has_given_name => set(&mut resource, SERVICE_NAME, &name),
        _ => {}
    }
    if get(&resource, SERVICE_NAME).is_none() {
        set(&mut resource, SERVICE_NAME, &unknown_service());
    }
    let chosen = get(&resource, SERVICE_INSTANCE_ID).is_none();
    if chosen {
        set(&mut resource, SERVICE_INSTANCE_ID, &random_uuid());
    }
    (resource, chosen)
}

/// Gives the resource another instance id, for a process that is another instance.
pub(crate) fn renew_instance_id(resource: &mut Vec<(String, String)>) {
    set(resource, SERVICE_INSTANCE_ID, &random_uuid());
}

fn get<'a>(resource: &'a [(String, String)], key: &str) -> Option<&'a str> {
    resource.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn set(resource: &mut Vec<(String, String)>, key: &str, value: &str) {
    match resource.iter_mut().find(|(name, _)| name == key) {
        Some((_, known)) => *known = value.to_owned(),
        None => resource.push((key.to_owned(), value.to_owned())),
    }
}

/// What OpenTelemetry has for a service that nobody named.
fn unknown_service() -> String {
    let executable = std::env::current_exe().ok();
    let name =
        executable.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    name.map_or("unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> String {
    let random = u128::from(system_random()) << 64 | u128::from(system_random());
    let bits = random & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Random bits that a forked child does not share with its parent.
fn system_random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| fastrand::u64(..) ^ u64::from(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let one = random_uuid();
        assert_eq!((one.len(), &one[14..15]), (36, "4"));
        assert!("89ab".contains(&one[19..20]), "{one}");
        assert_ne!(one, random_uuid());
    }
}
