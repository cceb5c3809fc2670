//! The program's exceptions: which are failures, and what is told of one.

use callboard_core::Text;
use pyo3::exceptions::{PyBaseException, PyGeneratorExit, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::content::ContentPolicy;
use crate::exit;
use crate::guard::quietly;
use crate::value::{bounded, class_name, text_of};

/// The most frames of a stack that are told of, the innermost ones: each span that an exception passes tells its own, and
/// writing out a stack that ran full would hold the program up at each.
const MOST_FRAMES: usize = 100;

/// Whether this is no failure but a way to leave: a generator that is closed, a program that exits as it should.
pub(crate) fn is_way_out(error: &Bound<'_, PyAny>) -> bool {
    let py = error.py();
    let exits_well = || {
        let code = quietly(py, error.getattr(intern!(py, "code")));
        code.is_some_and(|code| code.is_none() || code.extract::<i64>().is_ok_and(|code| code == 0))
    };
    error.is_none()
        || error.is_instance_of::<PyGeneratorExit>()
        || (error.is_instance_of::<PySystemExit>() && exits_well())
}

/// An exception's class, with its module unless that is Python's own, its message and its stack.
pub(crate) fn texts(
    error: &Bound<'_, PyBaseException>,
    policy: Option<&ContentPolicy>,
) -> (Text, Text, Text) {
    let py = error.py();
    let Some(_inside) = exit::enter() else { return <_>::default() };
    let class = quietly(py, error.get_type().fully_qualified_name());
    let class = class.map_or_else(|| class_name(error.as_any()), |class| text_of(class.as_any()));
    let message = bounded(text_of(error.as_any()));
    let is_bare = policy.is_some_and(ContentPolicy::has_bare_stacks);
    let stack = bounded(quietly(py, stack(error, is_bare)).unwrap_or_default());
    match policy {
        Some(policy) => (class.into(), policy.error(py, message), policy.text(py, stack)),
        None => (class.into(), message, stack),
    }
}

/// The frames that the exception passed; unless it is to be bare, its message with them, and the exceptions before it.
fn stack(error: &Bound<'_, PyBaseException>, is_bare: bool) -> PyResult<String> {
    let py = error.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "limit"), -(MOST_FRAMES as i64))?;
    let traceback = py.import(intern!(py, "traceback"))?;
    let lines = match is_bare {
        true => {
            let frames = error.as_any().getattr(intern!(py, "__traceback__"))?;
            traceback.call_method(intern!(py, "format_tb"), (frames,), Some(&options))
        }
        false => traceback.call_method(intern!(py, "format_exception"), (error,), Some(&options)),
    }?
    .extract::<Vec<String>>()?;
    let left_out = count_frames(error)?.saturating_sub(MOST_FRAMES);
    Ok(match left_out {
        0 => lines.concat(),
        _ => format!("[{left_out} outer frames are left out]\n{}", lines.concat()),
    })
}

fn count_frames(error: &Bound<'_, PyBaseException>) -> PyResult<usize> {
    let py = error.py();
    let mut frame = error.as_any().getattr(intern!(py, "__traceback__"))?;
    let mut count = 0;
    while !frame.is_none() {
        frame = frame.getattr(intern!(py, "tb_next"))?;
        count += 1;
    }
    Ok(count)
}
