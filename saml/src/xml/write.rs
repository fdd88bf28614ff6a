//! Writes XML. What it is given is escaped; what no XML can hold is an error.

use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use crate::Error;

/// Elements, one after the other.
pub(crate) struct Writer {
    inner: quick_xml::Writer<Vec<u8>>,
    open: Vec<&'static str>,
    illegal: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { inner: quick_xml::Writer::new(Vec::new()), open: Vec::new(), illegal: false }
    }

    fn element<'n>(&mut self, name: &'n str, attributes: &[(&str, &str)]) -> BytesStart<'n> {
        for (_, value) in attributes {
            self.look_at(value);
        }
        BytesStart::new(name).with_attributes(attributes.iter().copied())
    }

    // A `Vec` takes whatever is written to it.
    fn write(&mut self, event: Event<'_>) {
        self.illegal |= self.inner.write_event(event).is_err();
    }

    fn look_at(&mut self, text: &str) {
        self.illegal |= text.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    }

    /// `<name …>`; to be ended.
    pub(crate) fn start(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        let element = self.element(name, attributes);
        self.write(Event::Start(element));
        self.open.push(name);
    }

    /// Ends the last that was started.
    pub(crate) fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.write(Event::End(BytesEnd::new(name)));
        }
    }

    /// `<name …/>`
    pub(crate) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        let element = self.element(name, attributes);
        self.write(Event::Empty(element));
    }

    /// `<name …>text</name>`
    pub(crate) fn leaf(&mut self, name: &'static str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.look_at(text);
        self.write(Event::Text(BytesText::new(text)));
        self.end();
    }

    /// How many bytes were written.
    pub(crate) fn position(&mut self) -> usize {
        self.inner.get_mut().len()
    }

    /// What was written; everything must have been ended.
    pub(crate) fn finish(self) -> Result<String, Error> {
        if self.illegal || !self.open.is_empty() {
            return Err(Error("a message would hold what XML can't".to_owned()));
        }
        String::from_utf8(self.inner.into_inner()).map_err(|e| Error(e.to_string()))
    }
}
