//! Messages from agent to agent: AGENT_SEND_MSG.

use callboard_core::EventKind;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::agents::{Named, put_sender_and_recipient};
use super::{Hooks, here, keys};
use crate::given::AttributeList;
use crate::watch::{Begun, Call, Hook, Outcome, Switch};

/// Watches `_process_message_before_send(sender, message, recipient, silent)`, which returns the message that is sent.
pub(super) struct Sending(pub(super) Py<Hooks>);

impl Hook for Sending {
    fn what(&self) -> &'static str {
        "message"
    }

    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>> {
        let py = call.py();
        let sender = call.positional(0)?;
        let message = call.argument(1, intern!(py, "message"));
        let recipient = call.argument(2, intern!(py, "recipient"));
        let silent = call.argument(3, intern!(py, "silent"));
        if let Some(chat) = self.0.get().chat(call.switch, py)? {
            chat.call_method1(intern!(py, "before_send"), (&sender, &recipient, message))?;
        }
        let agents = PyTuple::new(py, [Some(sender), recipient, silent])?;
        Ok(Some(Begun { state: agents.into_any(), span: None }))
    }

    fn finish(
        &self,
        switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()> {
        let py = begun.py();
        let Outcome::Returned(sent) = outcome else { return Ok(()) };
        let Some(span) = here(switch, py) else { return Ok(()) };
        let [sender, recipient, silent]: [Bound<'_, PyAny>; 3] = begun.extract()?;
        let (sender, recipient) = (Named::of(&sender), Named::of(&recipient));
        let message = self.0.get().by_reference(sent)?;
        let mut attributes = AttributeList::new(span.get().policy());
        put_sender_and_recipient(&mut attributes, sender.as_ref(), recipient.as_ref());
        attributes.put(keys::MESSAGE, &message);
        attributes.put(keys::SILENT, &silent);
        span.get().record(EventKind::AgentSendMsg, &mut attributes);
        Ok(())
    }
}
