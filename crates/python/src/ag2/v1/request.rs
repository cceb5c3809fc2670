//! What a model call asks: the client, which is read once for many calls, and what the turn's context tells.

use std::sync::Arc;

use callboard_core::{Attribute, Key, Text, Value};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::super::answer::map;
use super::super::kept::Kept;
use super::super::keys;
use super::super::model::{Parameters, Ready};
use super::super::reading::{entry, field, or_none};
use crate::given::AttributeList;
use crate::value::to_value;

/// The clients that were read.
pub(super) struct Clients {
    /// Takes a client; see `described` in `callboard/ag2_v1/model.py`.
    described: Py<PyAny>,
    by_client: Kept<Client>,
}

/// What can be said of a client once for many calls.
struct Client {
    /// The model that it asks, where it says so.
    name: Option<Py<PyAny>>,
    parameters: Parameters,
    attributes: Vec<Ready>,
    about: Vec<Ready>,
}

/// What Python tells of a client; see the class of the same name.
#[derive(FromPyObject)]
struct Described<'py> {
    name: Option<Bound<'py, PyAny>>,
    parameters: Bound<'py, PyDict>,
    attributes: Bound<'py, PyDict>,
    about: Bound<'py, PyDict>,
}

/// A call of a client, as far as the client and the turn's context tell of it.
pub(super) struct Request {
    client: Arc<Client>,
    /// The model's name; None where nobody says it.
    pub(super) name: Py<PyAny>,
    /// The service's name, or null.
    pub(super) provider: Value,
    /// The tools that the model may ask for.
    tools: Option<Value>,
}

impl Clients {
    pub(super) fn new(described: Py<PyAny>) -> Self {
        Self { described, by_client: Kept::default() }
    }

    fn of(&self, client: &Bound<'_, PyAny>) -> PyResult<Arc<Client>> {
        self.by_client.of(client, || {
            let described: Described<'_> =
                self.described.bind(client.py()).call1((client,))?.extract()?;
            Ok(Client {
                name: described.name.map(Bound::unbind),
                parameters: Parameters::new(described.parameters),
                attributes: Ready::all(&described.attributes),
                about: Ready::all(&described.about),
            })
        })
    }
}

impl Request {
    /// Reads what a client is asked.
    pub(super) fn of<'py>(
        clients: &Clients,
        client: &Bound<'py, PyAny>,
        context: &Bound<'py, PyAny>,
        tools: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let py = client.py();
        let client = clients.of(client)?;
        let config = match field(context, intern!(py, "dependencies"))? {
            // Where a turn's context has the configuration of its model.
            Some(known) => entry(&known, intern!(py, "__ag2_model_config__"))?,
            None => None,
        };
        let of_config = |name: &Bound<'py, PyString>| match &config {
            Some(config) => text(config, name),
            None => Ok(None),
        };
        let name = match &client.name {
            Some(name) => name.clone_ref(py),
            None => {
                let name = of_config(intern!(py, "model"))?;
                or_none(py, name.map(Bound::into_any)).unbind()
            }
        };
        let provider =
            provider_name(of_config(intern!(py, "provider"))?.as_ref().map(Bound::as_any));
        let tools = tools.map(definitions).transpose()?.flatten();
        Ok(Self { client, name, provider, tools })
    }

    /// Describes the request in the GenAI conventions' words.
    pub(super) fn put_attributes<'a>(
        &self,
        name: &'a Bound<'_, PyAny>,
        attributes: &mut AttributeList<'a>,
    ) {
        let py = name.py();
        for ready in &self.client.attributes {
            if self.tools.is_none() || ready.key != *keys::GEN_AI_TOOL_DEFINITIONS {
                attributes.put_given(py, ready.key.clone(), ready.value(py));
            }
        }
        attributes.put(keys::GEN_AI_REQUEST_MODEL, name);
        attributes.put_given(py, keys::GEN_AI_PROVIDER, self.provider.clone());
        if let Some(tools) = &self.tools {
            attributes.put_given(py, keys::GEN_AI_TOOL_DEFINITIONS, tools.clone());
        }
    }

    /// Tells of the client.
    pub(super) fn put_about<'a>(
        &self,
        name: &'a Bound<'_, PyAny>,
        attributes: &mut AttributeList<'a>,
    ) {
        let py = name.py();
        for ready in &self.client.about {
            attributes.put_given(py, ready.key.clone(), ready.value(py));
        }
        attributes.put_given(py, keys::CLIENT_API_TYPE, self.provider.clone());
        attributes.put(keys::CLIENT_MODEL, name);
    }

    /// What is sent to the service: all but what looks like a secret.
    pub(super) fn parameters(&self, py: Python<'_>, messages: &Value) -> Value {
        let parameters = self.client.parameters.value(py);
        let Value::Map(entries) = parameters else { return parameters };
        let mut sent: Vec<Attribute> = Vec::with_capacity(entries.len() + 2);
        sent.extend_from_slice(&entries);
        sent.push((Key::from_static("messages"), messages.clone()));
        if let Some(tools) = &self.tools {
            sent.retain(|(key, _)| key != "tools");
            sent.push((Key::from_static("tools"), tools.clone()));
        }
        sent.into()
    }
}

/// A service's name as the GenAI conventions have it; null where it is no text.
pub(super) fn provider_name(service: Option<&Bound<'_, PyAny>>) -> Value {
    let Some(name) = service.and_then(|name| name.cast::<PyString>().ok()) else {
        return Value::Null;
    };
    Value::Text(match name.to_string_lossy().as_ref() {
        "bedrock" => Text::from_static("aws.bedrock"),
        "gemini" | "google" => Text::from_static("gcp.gemini"),
        "mistral" => Text::from_static("mistral_ai"),
        "vertexai" => Text::from_static("gcp.vertex_ai"),
        "xai" => Text::from_static("x_ai"),
        other => Text::new(other),
    })
}

/// The tools that a model may ask for; none where there are none.
fn definitions(tools: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    let is_known = tools.is_instance_of::<PyList>() || tools.is_instance_of::<PyTuple>();
    if !is_known || tools.len()? == 0 {
        return Ok(None);
    }
    let told: PyResult<Vec<Value>> = tools.try_iter()?.map(|tool| definition(&tool?)).collect();
    Ok(Some(told?.into()))
}

fn definition(tool: &Bound<'_, PyAny>) -> PyResult<Value> {
    let py = tool.py();
    let said = |owner: &Bound<'_, PyAny>, name: &Bound<'_, PyString>| -> PyResult<Value> {
        Ok(field(owner, name)?.map_or(Value::Null, |value| to_value(&value)))
    };
    let Some(function) = field(tool, intern!(py, "function"))? else {
        return Ok(map([("type", said(tool, intern!(py, "type"))?)]));
    };
    let described = map([
        ("name", said(&function, intern!(py, "name"))?),
        ("description", said(&function, intern!(py, "description"))?),
        ("parameters", said(&function, intern!(py, "parameters"))?),
    ]);
    Ok(map([("type", "function".into()), ("function", described)]))
}

/// Reads an attribute that some configurations do not have, and others raise an error for. It may be an enum's member.
fn text<'py>(
    owner: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    let py = owner.py();
    let value = match field(owner, name) {
        Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => return Ok(None),
        value => value?,
    };
    let Some(value) = value else { return Ok(None) };
    if let Ok(text) = value.cast_exact::<PyString>() {
        return Ok(Some(text.clone()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(PyString::new(py, text.to_str()?)));
    }
    let value = value.getattr_opt(intern!(py, "value"))?.unwrap_or(value);
    Ok(value.cast_into().ok())
}
