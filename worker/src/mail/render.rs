//! From a mail and its reader's language to subject, text and HTML.

use std::{fmt::Write as _, sync::LazyLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context, escape_formatter,
    syntax::SyntaxConfig, value::Kwargs,
};
use tenantry_shared::text::single_line;
use textwrap::{Options, WordSeparator, WordSplitter};

use super::{
    catalogue::{Catalogue, MissingString, Piece, pieces},
    mails::Mail,
    theme::Theme,
};

/// Names in a sentence are cut after so many characters; in a subject, earlier. An e-mail address mostly fits.
const LONGEST_VALUE: usize = 120;
const LONGEST_VALUE_IN_SUBJECT: usize = 50;
const LONGEST_SUBJECT: usize = 150;
/// Of plain text (RFC 5322, 2.1.1), in characters.
const LONGEST_LINE: usize = 78;

/// What all mails have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The reader's language: `de`, `de-AT`. One that we don't speak becomes English.
    pub locale: String,
    /// What the organization looks like.
    pub branding: Branding,
    /// What every link in the mail begins with.
    pub public_url: String,
}

/// What an organization's mails look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branding {
    /// Stands at the top of every mail.
    pub name: String,
    /// `#rrggbb`; anything else is as good as none, and becomes our own.
    pub color: Option<String>,
    /// Stands in place of the name, or beside it.
    pub logo: Option<Logo>,
    /// Where answers go; see [`message`](super::message()).
    pub reply_to: Option<String>,
}

/// An image that we serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// Where.
    pub url: String,
    /// In pixels, as it is shown.
    pub width: u32,
    /// In pixels, as it is shown.
    pub height: u32,
    /// Whether the name has to stand beside it.
    pub is_sign: bool,
}

/// A mail, ready to be put into an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// A document.
    pub html: String,
    /// Where the recipient may unsubscribe, if he may; see [`message`](super::message()).
    pub unsubscribe_link: Option<String>,
}

/// A template or catalogue is wrong. The tests render every mail in every language, so this should not be seen.
#[derive(Debug, thiserror::Error)]
#[error("the mail could not be rendered: {0:#}")]
pub struct RenderError(#[from] Error);

impl From<MissingString> for Error {
    fn from(missing: MissingString) -> Self {
        Self::new(ErrorKind::InvalidOperation, missing.to_string())
    }
}

macro_rules! templates {
    ($($mail:literal),+ $(,)?) => {
        &[
            ("base.html", include_str!("../../templates/base.html")),
            ("base.txt", include_str!("../../templates/base.txt")),
            ("parts.html", include_str!("../../templates/parts.html")),
            $(
                (concat!($mail, "/subject.txt"), include_str!(concat!("../../templates/", $mail, "/subject.txt"))),
                (concat!($mail, "/body.txt"), include_str!(concat!("../../templates/", $mail, "/body.txt"))),
                (concat!($mail, "/body.html"), include_str!(concat!("../../templates/", $mail, "/body.html"))),
            )+
        ]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "invitation",
    "welcome",
    "welcome_to_sign_in",
    "password_reset",
    "password_changed",
    "password_set",
    "second_factor_enabled",
    "second_factor_removed",
    "invitation_accepted",
    "invitation_declined",
    "invitation_bounced",
    "invitation_reminder",
    "account_expiring",
    "certificate_expiring",
    "login_url",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters"));
    // A misspelt name is an error, not an empty place.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.set_formatter(format_value);
    environment.add_filter("strong", strong);
    environment.add_filter("name", |text: &str| single_line(text, LONGEST_VALUE));
    environment.add_filter("initial", |text: &str| text.trim().chars().take(1).collect::<String>().to_uppercase());
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("the templates are compiled in, and tested");
    }
    environment
});

/// Renders a mail in the reader's language.
///
/// Text of other people's can do no harm in it: HTML is escaped, a sentence or a subject stays one line, and what is
/// too long is cut.
///
/// # Errors
/// Only if a template is wrong.
pub fn render(mail: &Mail, context: &Context) -> Result<Rendered, RenderError> {
    let catalogue = Catalogue::of(&context.locale);
    let values = mail.values(catalogue).map_err(Error::from)?;
    let common = common_values(context, catalogue);
    let render = |file: &str, values: &Value| {
        ENVIRONMENT.get_template(&format!("{}/{file}", mail.name()))?.render(values.clone())
    };

    let values = context! { ..values, ..common };
    let subject = single_line(&render("subject.txt", &values)?, LONGEST_SUBJECT);
    let values = context! { subject => &subject, ..values };
    Ok(Rendered {
        text: tidy(&render("body.txt", &values)?),
        html: render("body.html", &values)?,
        subject,
        unsubscribe_link: mail.unsubscribe_link().map(str::to_owned),
    })
}

fn common_values(context: &Context, catalogue: &'static Catalogue) -> Value {
    let theme = Theme::of(context.branding.color.as_deref());
    context! {
        t => Value::from_function(move |state: &mut State, key: &str, values: Kwargs| {
            translate(catalogue, state, key, &values)
        }),
        brand => &context.branding.name,
        logo => context.branding.logo.as_ref().map(|logo| {
            context! { url => &*logo.url, width => logo.width, height => logo.height, is_sign => logo.is_sign }
        }),
        public_url => context.public_url.trim_end_matches('/'),
        theme => context! {
            brand => theme.brand,
            on_brand => theme.on_brand,
            border => theme.border,
            link => theme.link,
            dark_border => theme.dark_border,
            dark_link => theme.dark_link,
        },
    }
}

/// `t("invitation.lead", organization=…)`: the string in the reader's language. What is put into it becomes one line,
/// and is escaped where the template is HTML.
fn translate(catalogue: &Catalogue, state: &mut State, key: &str, values: &Kwargs) -> Result<Value, Error> {
    let longest = if state.name().ends_with("subject.txt") { LONGEST_VALUE_IN_SUBJECT } else { LONGEST_VALUE };
    let mut sentence = String::new();
    for piece in pieces(catalogue.get(key)?) {
        let value = match piece {
            Piece::Text(text) => Value::from(text),
            Piece::Placeholder(name) => match values.get::<Value>(name)? {
                // Markup of ours, from a filter.
                value if value.is_safe() => value,
                value => Value::from(single_line(&value.to_string(), longest)),
            },
        };
        sentence.push_str(&state.format(value)?);
    }
    values.assert_all_used()?;
    Ok(Value::from_safe_string(sentence))
}

/// Escapes HTML. minijinja's own also turns every "/" of a link into "&#x2f;", which some mail filters take for a trick.
fn format_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if *state.auto_escape() == AutoEscape::None || value.is_safe() || value.is_undefined() {
        return escape_formatter(out, state, value);
    }
    for char in value.to_string().chars() {
        match char {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            _ => out.write_char(char)?,
        }
    }
    Ok(())
}

/// Emphasis, where there is such a thing.
fn strong(state: &mut State, text: &str) -> Result<Value, Error> {
    let text = Value::from(single_line(text, LONGEST_VALUE));
    if *state.auto_escape() == AutoEscape::None {
        return Ok(text);
    }
    Ok(Value::from_safe_string(format!("<strong>{}</strong>", state.format(text)?)))
}

/// Templates are written to be read, with longer lines and more empty ones than a text should have.
fn tidy(text: &str) -> String {
    let mut tidy = String::new();
    let mut gap = "";
    for line in text.trim().lines().map(str::trim_end) {
        if line.is_empty() {
            gap = "\n";
        } else {
            tidy.push_str(gap);
            tidy.push_str(&fold(line));
            tidy.push('\n');
            gap = "";
        }
    }
    tidy
}

/// In lines of a text reader's width, where a quotation stays one. A link is never cut, nor a name without spaces.
fn fold(line: &str) -> String {
    let mark = if line.starts_with("> ") { "> " } else { "" };
    let options = Options::new(LONGEST_LINE)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .subsequent_indent(mark);
    textwrap::fill(line, options)
}
