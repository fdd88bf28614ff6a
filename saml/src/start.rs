//! What has to be done once, at the start of a process.
//!
//! The only module with `unsafe`, for functions of xmlsec and libxml that no library wraps. One takes xmlsec's ways to files and
//! networks: a second wall behind the gate. The others take their voices: they write to standard error whatever a stranger's
//! message makes them complain of.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use crate::{Error, engine};

/// `xmlStructuredErrorFunc`
type ErrorFunction = unsafe extern "C" fn(context: *mut c_void, error: *mut c_void);

#[link(name = "xml2")]
unsafe extern "C" {
    /// `void xmlSetStructuredErrorFunc(void *ctx, xmlStructuredErrorFunc handler)`: for this thread.
    fn xmlSetStructuredErrorFunc(context: *mut c_void, handler: Option<ErrorFunction>);
    /// `void xmlThrDefSetStructuredErrorFunc(void *ctx, xmlStructuredErrorFunc handler)`: for threads to come.
    fn xmlThrDefSetStructuredErrorFunc(context: *mut c_void, handler: Option<ErrorFunction>);
}

#[link(name = "xmlsec1")]
unsafe extern "C" {
    /// `void xmlSecIOCleanupCallbacks(void)`: forgets how files and addresses are read.
    fn xmlSecIOCleanupCallbacks();
    /// `void xmlSecErrorsDefaultCallbackEnableOutput(int enabled)`
    fn xmlSecErrorsDefaultCallbackEnableOutput(enabled: c_int);
}

static DONE: OnceLock<Result<(), String>> = OnceLock::new();

/// Readies the libraries below, takes away their ways to files and networks, and sees that they can tell a right signature from
/// a wrong one. To be called at the start of `main`, before there are threads; to call it again does nothing.
pub fn initialize() -> Result<(), Error> {
    let done = DONE.get_or_init(|| {
        // Only what is there can be taken away.
        engine::sample().map_err(|e| e.to_string())?;
        close_ways_out();
        engine::self_test().map_err(|e| e.to_string())
    });
    done.clone().map_err(Error)
}

fn close_ways_out() {
    // SAFETY: xmlsec was initialized, and needs no more for the first two. The others take a function that is there for good and
    // touches nothing of what it is given. No other thread uses these libraries now: whoever wants to waits for `DONE`.
    unsafe {
        xmlSecIOCleanupCallbacks();
        xmlSecErrorsDefaultCallbackEnableOutput(0);
        xmlSetStructuredErrorFunc(std::ptr::null_mut(), Some(say_nothing));
        xmlThrDefSetStructuredErrorFunc(std::ptr::null_mut(), Some(say_nothing));
    }
}

unsafe extern "C" fn say_nothing(_context: *mut c_void, _error: *mut c_void) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_not_be_over_a_file() {
        initialize().expect("xmlsec");
        let file = std::env::temp_dir().join(format!("tenantry-saml-{}.xml", std::process::id()));
        std::fs::write(&file, "<a/>").expect("a file");
        let template = engine::template("here", crate::algorithms::RSA_SHA256, None).expect("a template");
        let key = crate::testing::rsa().key();
        let message = |target: &str| format!("<a ID=\"here\">{}</a>", template.replace("#here", target));
        assert!(engine::sign(&message("#here"), &key).is_ok());
        for target in [format!("file://{}", file.display()), file.display().to_string()] {
            assert!(engine::sign(&message(&target), &key).is_err(), "{target}");
        }
        std::fs::remove_file(&file).expect("the file");
    }
}
