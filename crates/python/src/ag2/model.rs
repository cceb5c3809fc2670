//! What a model call asks: the model's configuration, which is read once for many calls, and what the call itself says.

use std::sync::{Arc, Mutex};

use callboard_core::{Attribute, Key, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};
use smallvec::SmallVec;

use super::kept::Kept;
use super::keys;
use super::reading::{added_field, entry, field, or_none, truthy};
use crate::given::{AttributeList, plain};
use crate::guard::lock;
use crate::value::{attributes, is_plainly, key, to_value};

/// The arguments with which AG2's agents call a model. They are AG2's own, and the messages.
const OF_AGENTS: [&str; 4] = ["agent", "cache", "context", "messages"];

/// The models that were read, and how they are; `callboard/ag2/model.py` has the functions.
pub(super) struct Models {
    /// Takes a wrapper, a client and its configuration; see the function `described`.
    described: Py<PyAny>,
    /// Takes a wrapper and a call's arguments; see the function `given`.
    given: Py<PyAny>,
    by_wrapper: Kept<Mutex<OfWrapper>>,
}

/// The models of one wrapper, by their places among its configurations.
type OfWrapper = SmallVec<[(i64, Arc<Model>); 1]>;

/// One entry of a wrapper's configuration list, and what can be said of it once for many calls.
pub(super) struct Model {
    client: Py<PyAny>,
    config: Py<PyAny>,
    config_as_read: Py<PyDict>,
    /// The provider's name.
    pub(super) provider: Value,
    name: Option<Py<PyAny>>,
    parameters: Parameters,
    attributes: Vec<Ready>,
    about: Vec<Ready>,
}

/// What Python tells of a configuration; see the class of the same name.
#[derive(FromPyObject)]
struct Described<'py> {
    as_read: Bound<'py, PyDict>,
    provider: Bound<'py, PyAny>,
    parameters: Bound<'py, PyDict>,
    attributes: Bound<'py, PyDict>,
    about: Bound<'py, PyDict>,
}

/// An attribute whose value was read before.
pub(super) struct Ready {
    pub(super) key: Key,
    value: Value,
    /// What it was read from, where that may change in place.
    object: Option<Py<PyAny>>,
}

/// What of a configuration is sent to the service and may be recorded.
pub(super) struct Parameters {
    entries: Py<PyDict>,
    as_read: Value,
    /// Whether something in it may change in place.
    may_change: bool,
}

/// A call of `OpenAIWrapper.create`.
///
/// Where both set something, AG2 prefers a configuration over the call's arguments.
pub(super) struct Request {
    wrapper: Py<PyAny>,
    config: Option<Py<PyDict>>,
    /// What the call itself sends to the service, besides messages, and which attributes that makes.
    given: Option<(Py<PyDict>, Vec<Attribute>)>,
    /// The model that is tried first.
    pub(super) model: Arc<Model>,
}

impl Models {
    pub(super) fn new(described: Py<PyAny>, given: Py<PyAny>) -> Self {
        Self { described, given, by_wrapper: Kept::default() }
    }

    /// The model of a configuration, read anew where AG2 or the program exchanged something.
    fn at(&self, wrapper: &Bound<'_, PyAny>, index: i64) -> PyResult<Arc<Model>> {
        let py = wrapper.py();
        let client = wrapper.getattr(intern!(py, "_clients"))?.get_item(index)?;
        let config = wrapper.getattr(intern!(py, "_config_list"))?.get_item(index)?;
        let models = self.by_wrapper.of(wrapper, || Ok(Mutex::default()))?;
        let known = lock(&models).iter().find(|(at, _)| *at == index).map(|(_, it)| it.clone());
        if let Some(model) = &known
            && model.is_of(&client, &config)?
        {
            return Ok(model.clone());
        }
        let described = self.described.bind(py).call1((wrapper, &client, &config))?;
        let model = Arc::new(Model::new(client, config, described.extract()?)?);
        let mut slot = lock(&models);
        let replaced = match slot.iter_mut().find(|(at, _)| *at == index) {
            Some((_, known)) => Some(std::mem::replace(known, model.clone())),
            None => {
                slot.push((index, model.clone()));
                None
            }
        };
        drop(slot);
        // Without the lock: what is let go of may run Python code.
        drop(replaced);
        Ok(model)
    }
}

impl Model {
    fn new(
        client: Bound<'_, PyAny>,
        config: Bound<'_, PyAny>,
        described: Described<'_>,
    ) -> PyResult<Self> {
        let py = client.py();
        Ok(Self {
            provider: to_value(&described.provider),
            name: truthy(entry(&config, intern!(py, "model"))?)?.map(Bound::unbind),
            parameters: Parameters::new(described.parameters),
            attributes: Ready::all(&described.attributes),
            about: Ready::all(&described.about),
            config_as_read: described.as_read.unbind(),
            client: client.unbind(),
            config: config.unbind(),
        })
    }

    fn is_of(&self, client: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.client.is(client)
            && self.config.is(config)
            && !self.config_as_read.bind(client.py()).ne(config)?)
    }

    /// Tells of the client.
    pub(super) fn put_about(&self, py: Python<'_>, attributes: &mut AttributeList<'_>) {
        for ready in &self.about {
            attributes.put_given(py, ready.key.clone(), ready.value(py));
        }
    }
}

impl Ready {
    pub(super) fn all(entries: &Bound<'_, PyDict>) -> Vec<Self> {
        let ready = |(name, object): (Bound<'_, PyAny>, Bound<'_, PyAny>)| Self {
            key: key(&name),
            value: to_value(&object),
            object: may_change(&object).then(|| object.unbind()),
        };
        entries.iter().map(ready).collect()
    }

    pub(super) fn value(&self, py: Python<'_>) -> Value {
        match &self.object {
            Some(object) => same_or_new(&self.value, object.bind(py)),
            None => self.value.clone(),
        }
    }
}

impl Parameters {
    pub(super) fn new(entries: Bound<'_, PyDict>) -> Self {
        let may_change = entries.values().iter().any(|value| may_change(&value));
        Self { as_read: to_value(entries.as_any()), may_change, entries: entries.unbind() }
    }

    pub(super) fn value(&self, py: Python<'_>) -> Value {
        if self.may_change {
            return same_or_new(&self.as_read, self.entries.bind(py));
        }
        self.as_read.clone()
    }
}

fn may_change(object: &Bound<'_, PyAny>) -> bool {
    plain(object.as_borrowed()).is_none()
}

/// The value that an object had, or the one that it has now.
fn same_or_new(value: &Value, object: &Bound<'_, PyAny>) -> Value {
    if is_plainly(value, object.as_borrowed()) { value.clone() } else { to_value(object) }
}

impl Request {
    /// Reads what a wrapper is asked.
    pub(super) fn of(
        models: &Models,
        wrapper: &Bound<'_, PyAny>,
        config: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = wrapper.py();
        let given = match config.filter(|config| !is_of_agents(config)) {
            Some(config) => models.given.bind(py).call1((wrapper, config))?.extract()?,
            None => None,
        };
        let given = given
            .map(|(sent, told): (Py<PyDict>, Bound<'_, PyAny>)| (sent, attributes(Some(&told))));
        let method = field(wrapper, intern!(py, "routing_method"))?;
        let index = match method {
            Some(method) if method.eq(intern!(py, "round_robin"))? => {
                wrapper.getattr(intern!(py, "_round_robin_index"))?.extract()?
            }
            _ => 0,
        };
        Ok(Self {
            model: models.at(wrapper, index)?,
            wrapper: wrapper.clone().unbind(),
            config: config.map(|config| config.clone().unbind()),
            given,
        })
    }

    /// The model that a client of the wrapper serves; the first one where it is none of them.
    pub(super) fn model_of(
        &self,
        models: &Models,
        client: &Bound<'_, PyAny>,
    ) -> PyResult<Arc<Model>> {
        let wrapper = self.wrapper.bind(client.py());
        let clients = wrapper.getattr(intern!(client.py(), "_clients"))?;
        for (index, known) in (0..).zip(clients.try_iter()?) {
            if known?.is(client) {
                return models.at(wrapper, index);
            }
        }
        Ok(self.model.clone())
    }

    /// The model whose answer AG2 returned.
    pub(super) fn answered_by(
        &self,
        models: &Models,
        response: &Bound<'_, PyAny>,
    ) -> PyResult<Arc<Model>> {
        let py = response.py();
        let wrapper = self.wrapper.bind(py);
        if wrapper.getattr(intern!(py, "_clients"))?.len()? == 1 {
            return Ok(self.model.clone());
        }
        let index = match added_field(response, intern!(py, "config_id"))? {
            Some(index) => Some(index),
            None => self.index_kept(response)?,
        };
        match index {
            Some(index) if index.is_instance_of::<PyInt>() => models.at(wrapper, index.extract()?),
            _ => Ok(self.model.clone()),
        }
    }

    /// Which model answered, as AG2 keeps it.
    fn index_kept<'py>(&self, response: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, get) = (response.py(), intern!(response.py(), "get"));
        let Some(kept) = field(self.wrapper.bind(py), intern!(py, "_response_metadata"))? else {
            return Ok(None);
        };
        let id = or_none(py, field(response, intern!(py, "id"))?);
        let known = kept.call_method1(get, (id, PyDict::new(py)))?;
        entry(&known, intern!(py, "config_id"))
    }

    /// An argument of the call.
    fn argument<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.config.as_ref().map_or(Ok(None), |config| config.bind(name.py()).get_item(name))
    }

    /// A model's name, which the call says where the configuration does not.
    pub(super) fn name_of<'py>(
        &self,
        py: Python<'py>,
        model: &Model,
    ) -> PyResult<Bound<'py, PyAny>> {
        match &model.name {
            Some(name) => Ok(name.bind(py).clone()),
            None => Ok(or_none(py, self.argument(intern!(py, "model"))?)),
        }
    }

    /// The price that the program configured for the model, if any.
    pub(super) fn price_of<'py>(
        &self,
        py: Python<'py>,
        model: &Model,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let name = intern!(py, "price");
        let config = model.config.bind(py);
        let price = match config.cast::<PyDict>() {
            Ok(config) => config.get_item(name)?,
            Err(_) => config.contains(name)?.then(|| config.get_item(name)).transpose()?,
        };
        let price = price.map_or_else(|| self.argument(name), |price| Ok(Some(price)))?;
        Ok(price.filter(|price| !price.is_none()))
    }

    /// Describes the request in the GenAI conventions' words.
    pub(super) fn put_attributes(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        list: &mut AttributeList<'_>,
    ) {
        let given = self.given.as_ref().map_or(&[][..], |(_, attributes)| attributes);
        let mut all: SmallVec<[Attribute; 8]> = given.iter().cloned().collect();
        for ready in &self.model.attributes {
            let (key, value) = (ready.key.clone(), ready.value(py));
            match all[..].iter_mut().find(|(known, _)| !given.is_empty() && *known == key) {
                Some((_, known)) => *known = value,
                None => all.push((key, value)),
            }
        }
        all.push((Key::from_static(keys::GEN_AI_REQUEST_MODEL), to_value(name)));
        for (key, value) in all {
            // The conventions say it of streams alone.
            if key != keys::GEN_AI_REQUEST_STREAM || !is_false(&value) {
                list.put_given(py, key, value);
            }
        }
    }

    /// What is sent to the service: all but AG2's own arguments and what looks like a secret.
    pub(super) fn parameters(
        &self,
        py: Python<'_>,
        model: &Model,
        messages: &Value,
    ) -> PyResult<Value> {
        let parameters = match &self.given {
            None => model.parameters.value(py),
            Some((given, _)) => {
                let all = given.bind(py).copy()?;
                all.update(model.parameters.entries.bind(py).as_mapping())?;
                to_value(all.as_any())
            }
        };
        let Value::Map(entries) = parameters else { return Ok(parameters) };
        let messages = (Key::from_static("messages"), messages.clone());
        Ok(Value::Map(entries.iter().cloned().chain([messages]).collect()))
    }
}

/// Whether a call has no arguments but those with which AG2's agents call.
fn is_of_agents(config: &Bound<'_, PyDict>) -> bool {
    config.len() <= OF_AGENTS.len()
        && config.iter().all(|(name, _)| {
            let name = name.cast::<PyString>().ok();
            name.is_some_and(|name| name.to_str().is_ok_and(|name| OF_AGENTS.contains(&name)))
        })
}

/// Whether Python counts it as false.
fn is_false(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Double(number) => *number == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::List(values) => values.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}
