//! Pages.

use poem::Route;

/// Everything a person opens in a browser.
pub(crate) fn routes() -> Route {
    Route::new()
}
